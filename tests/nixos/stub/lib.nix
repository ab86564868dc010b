# SPDX-License-Identifier: LGPL-2.1-or-later
#
# As much of nixpkgs' lib as nixos/ uses, so that its tests need no network: options with types, mkIf, mkMerge, priorities,
# and the errors for a wrong type, a conflict and an option that does not exist. The names and the meaning are nixpkgs';
# tests/nixos/run can be given the real one instead.

let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isBool
    isInt
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    toJSON
    ;

  imap = f: list: genList (n: f (n + 1) (elemAt list n)) (length list);

  showName = name: if match "[A-Za-z_][A-Za-z0-9_'-]*" name == null then toJSON name else name;
  showOption = path: concatStringsSep "." (map showName path);

  # A definition as the list of those that it stands for, each with its priority; the lower number wins.
  discharge =
    priority: definition:
    if definition._type or null == "merge" then
      concatMap (discharge priority) definition.contents
    else if definition._type or null == "if" then
      if definition.condition then discharge priority definition.content else [ ]
    else if definition._type or null == "override" then
      discharge definition.priority definition.content
    else
      [ { inherit priority; value = definition; } ];

  # The same for an attribute set of options, where the condition goes down to each of them: it may depend on another.
  pushDown =
    definition:
    if definition._type or null == "merge" then
      concatMap pushDown definition.contents
    else if definition._type or null == "if" || definition._type or null == "override" then
      map (mapAttrs (_: content: definition // { inherit content; })) (pushDown definition.content)
    else
      [ definition ];

  normalPriority = 100;
  highestPrio =
    definitions:
    foldl' (a: d: if d.priority < a then d.priority else a) 9999 (concatMap (discharge normalPriority) definitions);
  # Only those of the best priority.
  winners =
    definitions:
    let
      best = highestPrio definitions;
    in
    map (d: d.value) (filter (d: d.priority == best) (concatMap (discharge normalPriority) definitions));

  mergeEqual =
    path: definitions:
    if all (d: d == head definitions) definitions then
      head definitions
    else
      throw "The option `${showOption path}' has conflicting definition values.";

  mergeChecked =
    type: path: definitions:
    if all type.check definitions then
      type.merge path definitions
    else
      throw "A definition for option `${showOption path}' is not of type `${type.description}'.";

  # The names that any of these attribute sets has.
  namesOf = sets: attrNames (foldl' (a: b: a // b) { } sets);
  pick = name: sets: concatMap (set: if set ? ${name} then [ set.${name} ] else [ ]) sets;

  evalOption =
    path: option: definitions:
    let
      won = winners definitions;
      value =
        if won != [ ] then
          mergeChecked option.type path won
        else
          option.default or (throw "The option `${showOption path}' was accessed but has no value defined.");
    in
    (option.apply or (v: v)) value;

  # What f makes of each option, its path and its definitions.
  mapOptions =
    f: path: options: definitions:
    mapAttrs (
      name: option:
      let
        below = pick name (concatMap pushDown definitions);
      in
      (if option._type or null == "option" then f else mapOptions f) (path ++ [ name ]) option below
    ) options;
  evalOptions = mapOptions evalOption;

  # Throws for a definition that no option takes.
  checkNames =
    path: options: definitions:
    let
      sets = concatMap pushDown definitions;
    in
    all (
      name:
      if !(options ? ${name}) then
        throw "The option `${showOption (path ++ [ name ])}' does not exist."
      else
        options.${name}._type or null == "option" || checkNames (path ++ [ name ]) options.${name} (pick name sets)
    ) (namesOf sets);

  mergeOptions =
    a: b:
    a
    // mapAttrs (
      name: option:
      if !(a ? ${name}) then
        option
      else if option._type or null == "option" then
        throw "The option `${name}' is declared twice."
      else
        mergeOptions a.${name} option
    ) b;

  scalar = description: check: {
    inherit description check;
    merge = mergeEqual;
  };

  lib = {
    inherit (builtins)
      attrNames
      concatStringsSep
      elem
      filter
      head
      mapAttrs
      ;

    evalModules =
      { modules, specialArgs }:
      let
        arguments = specialArgs // {
          inherit lib config;
          options = mapOptions (_: option: below: option // { highestPrio = highestPrio below; }) [ ] options definitions;
        };
        load =
          module:
          let
            value = if builtins.isPath module then import module else module;
            loaded = if builtins.isFunction value then value arguments else value;
          in
          if loaded ? options || loaded ? config then
            loaded
          else
            { config = loaded; };
        loaded = map load modules;
        options = foldl' mergeOptions { } (map (m: m.options or { }) loaded);
        definitions = map (m: m.config or { }) loaded;
        config = evalOptions [ ] options definitions;
      in
      {
        config = assert checkNames [ ] options definitions; config;
      };

    mkOption = option: option // { _type = "option"; };
    mkEnableOption =
      description:
      lib.mkOption {
        type = lib.types.bool;
        default = false;
        inherit description;
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkDefault = lib.mkOverride 1000;
    mkImageMediaOverride = lib.mkOverride 60;
    mkForce = lib.mkOverride 50;
    mkVMOverride = lib.mkOverride 10;
    literalExpression = text: text;

    types = {
      bool = scalar "boolean" isBool;
      str = scalar "string" isString;
      package = scalar "package" (v: isAttrs v && v.type or null == "derivation");
      enum = allowed: scalar "one of ${concatStringsSep ", " (map toJSON allowed)}" (v: elem v allowed);
      strMatching = pattern: scalar "string matching the pattern ${pattern}" (v: isString v && match pattern v != null);
      nullOr = type: scalar "null or ${type.description}" (v: v == null || type.check v);
      ints = {
        unsigned = scalar "unsigned integer, meaning >=0" (v: isInt v && v >= 0);
        between =
          from: to:
          scalar "integer between ${toString from} and ${toString to} (both inclusive)" (
            v: isInt v && from <= v && v <= to
          );
      };
      unspecified = scalar "unspecified value" (_: true);
      listOf = type: {
        description = "list of ${type.description}";
        check = isList;
        merge =
          path: definitions:
          let
            name = d: e: "[definition ${toString d}-entry ${toString e}]";
          in
          concatLists (imap (d: imap (e: v: mergeChecked type (path ++ [ (name d e) ]) [ v ])) definitions);
      };
      attrsOf = type: {
        description = "attribute set of ${type.description}";
        check = isAttrs;
        merge =
          path: definitions:
          listToAttrs (
            map (name: {
              inherit name;
              value = evalOption (path ++ [ name ]) { inherit type; } (pick name definitions);
            }) (namesOf definitions)
          );
      };
      # Values of `from` are made into those of `to` before these are merged.
      coercedTo = from: coerce: to: {
        inherit (to) description;
        check = v: from.check v || to.check v;
        merge = path: definitions: to.merge path (map (v: if from.check v then coerce v else v) definitions);
      };
      # A module, which may look at what becomes of it.
      submodule = module: {
        description = "submodule";
        check = isAttrs;
        merge =
          path: given:
          let
            inherit (module { inherit config; }) options;
            definitions = given ++ [ (module { inherit config; }).config ];
            config = evalOptions path options definitions;
          in
          assert checkNames path options definitions;
          config;
      };
    };

    generators.toINI =
      { }:
      sections:
      let
        toText = v: if isBool v then (if v then "true" else "false") else toString v;
        line = section: key: "${key}=${toText sections.${section}.${key}}\n";
      in
      concatStringsSep "\n" (
        map (section: "[${section}]\n" + concatStringsSep "" (map (line section) (attrNames sections.${section}))) (
          attrNames sections
        )
      );

    filterAttrs = f: set: listToAttrs (map (name: { inherit name; value = set.${name}; }) (filter (name: f name set.${name}) (attrNames set)));
    genAttrs = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);
    optional = condition: value: if condition then [ value ] else [ ];
    optionalString = condition: text: if condition then text else "";
    optionals = condition: list: if condition then list else [ ];
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    splitString = separator: text: filter isString (builtins.split separator text);
    getExe' = package: name: "${package.bin or package}/bin/${name}";

    cleanSource = source: source;
    mesonOption = name: value: "-D${name}=${value}";
    mesonBool = name: value: "-D${name}=${if value then "true" else "false"}";
    mesonEnable = name: value: "-D${name}=${if value then "enabled" else "disabled"}";
    licenses.lgpl21Plus.spdxId = "LGPL-2.1-or-later";
    platforms.linux = [ ];
  };
in
lib
