package io.github.koloader.testkit;

import static java.util.Locale.ROOT;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.TrustedKeys;
import io.github.koloader.elf.kernel.ModuleSymvers;
import io.github.koloader.elf.kernel.SystemMap;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.image.VersionTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * Finds what a recording of system calls needs besides itself: module files by their SHA-256, in
 * any zip file beside it or below the release directories; and what its kernel is and exports, see
 * {@link #facts}.
 */
final class ReplayInputs {
    private static final long ENTRY_LIMIT = 64L << 20;
    private static final Pattern LIVE = Pattern.compile(" Live 0x([0-9a-f]{1,16})\\b");

    private final ReplayOptions options;
    private final Map<Path, Map<String, Bytes>> zips = new HashMap<>();
    private final Map<Path, Map<String, Path>> trees = new HashMap<>();
    private final Map<String, KernelFacts> known = new HashMap<>();

    ReplayInputs(ReplayOptions options) {
        this.options = options;
    }

    // ---- module files ----

    /** The file with that SHA-256, out of a zip file beside the recording. */
    Optional<Bytes> zipped(Path recording, String sha256) throws IOException {
        return Optional.ofNullable(zipsBeside(recording).get(sha256.toLowerCase(ROOT)));
    }

    /**
     * A module of that name and SHA-256, unpacked: out of a zip file beside the recording, or below
     * a release directory.
     */
    Optional<Bytes> module(Path recording, String name, String sha256) throws IOException {
        Optional<Bytes> zipped = zipped(recording, sha256);
        if (zipped.isPresent()) {
            return zipped;
        }
        for (Path directory : options.modules()) {
            Path file = tree(directory).get(name);
            if (file != null) {
                Bytes bytes = unpacked(file);
                if (ModuleFiles.sha256(bytes).equals(sha256)) {
                    return Optional.of(bytes);
                }
            }
        }
        return Optional.empty();
    }

    /**
     * A module that a recording does not record but that its modules need: one of that name for
     * that kernel.
     */
    Optional<Bytes> dependency(Path recording, KernelFacts facts, String name) throws IOException {
        for (Path directory : options.modules()) {
            Path file = tree(directory).get(name);
            if (file != null) {
                Bytes bytes = unpacked(file);
                if (isFor(bytes, facts.architecture(), facts.config().release())) {
                    return Optional.of(bytes);
                }
            }
        }
        for (Bytes bytes : pristine(recording, facts.architecture(), facts.config().release())) {
            if (KoReader.of(facts.architecture(), facts.config())
                    .readImage(bytes)
                    .name()
                    .equals(Optional.of(name))) {
                return Optional.of(bytes);
            }
        }
        return Optional.empty();
    }

    /** A small module beside the recording, of that name and for that kernel. */
    Optional<Bytes> ownModule(
            Path recording, Architecture architecture, String release, String name)
            throws IOException {
        for (Bytes bytes : pristine(recording, architecture, release)) {
            if (KoReader.of(architecture).readImage(bytes).name().equals(Optional.of(name))) {
                return Optional.of(bytes);
            }
        }
        return Optional.empty();
    }

    private static Bytes unpacked(Path file) throws IOException {
        try {
            return KoReader.any().unpackedBytes(file);
        } catch (LoadException e) {
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    /** Module files below a directory by the name of the module. */
    private Map<String, Path> tree(Path directory) throws IOException {
        Map<String, Path> tree = trees.get(directory);
        if (tree == null) {
            tree = new HashMap<>();
            try (Stream<Path> files = Files.walk(directory)) {
                for (Path file : (Iterable<Path>) files::iterator) {
                    String name = String.valueOf(file.getFileName());
                    int suffix = name.indexOf(".ko");
                    if (suffix > 0 && name.substring(suffix).matches("\\.ko(\\.(gz|xz|zst))?")) {
                        tree.putIfAbsent(name.substring(0, suffix).replace('-', '_'), file);
                    }
                }
            }
            trees.put(directory, tree);
        }
        return tree;
    }

    private Map<String, Bytes> zipsBeside(Path recording) throws IOException {
        Path directory = recording.toAbsolutePath().resolveSibling("");
        Map<String, Bytes> files = zips.get(directory);
        if (files == null) {
            files = new LinkedHashMap<>();
            for (Path zip : beside(recording, "*.zip")) {
                readZip(zip, files);
            }
            zips.put(directory, files);
        }
        return files;
    }

    private static List<Path> beside(Path recording, String pattern) throws IOException {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> files =
                Files.newDirectoryStream(recording.toAbsolutePath().resolveSibling(""), pattern)) {
            files.forEach(found::add);
        }
        found.sort(null);
        return found;
    }

    private static void readZip(Path file, Map<String, Bytes> files) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            for (ZipEntry entry :
                    (Iterable<ZipEntry>) zip.stream().map(ZipEntry.class::cast)::iterator) {
                if (entry.isDirectory()) {
                    continue;
                }
                try (InputStream in = zip.getInputStream(entry)) {
                    byte[] content = in.readNBytes((int) ENTRY_LIMIT);
                    if (in.read() >= 0) {
                        throw new IOException(
                                file + ": " + entry.getName() + " is larger than a module");
                    }
                    Bytes bytes = Bytes.wrap(content);
                    files.putIfAbsent(ModuleFiles.sha256(bytes), bytes);
                }
            }
        }
    }

    // ---- the kernel ----

    /**
     * What is known of the kernel of that release.
     *
     * <p>Vermagic and the size of {@code struct module}: from modules in {@code own-*.zip} beside
     * the recording, which are as the compiler made them. Exports, licences, namespaces and CRCs:
     * from a given {@code Module.symvers}, else from the one that belongs to a release directory,
     * else from the {@code __versions} of those modules. Addresses of symbols: from a given {@code
     * System.map}, else from relocation recordings of the same kernel beside this one, those
     * without address randomisation first; other symbols get addresses of their own.
     */
    KernelFacts facts(Path recording, Architecture architecture, String release)
            throws IOException {
        String key =
                recording.toAbsolutePath().resolveSibling("")
                        + "|"
                        + architecture.name()
                        + "|"
                        + release;
        KernelFacts facts = known.get(key);
        if (facts == null) {
            facts = gather(recording, architecture, release);
            known.put(key, facts);
        }
        return facts;
    }

    private KernelFacts gather(Path recording, Architecture architecture, String release)
            throws IOException {
        List<String> sources = new ArrayList<>();
        List<Bytes> pristine = pristine(recording, architecture, release);
        KernelConfig config = config(architecture, release, pristine, sources);
        Map<String, Address> addresses = addresses(recording, architecture, release, sources);
        Map<String, ExportedSymbol> exports =
                exports(architecture, config, pristine, addresses, sources);
        TreeMap<Long, String> names = new TreeMap<>(Long::compareUnsigned);
        addresses.forEach((name, address) -> names.put(address.value(), name));
        exports.forEach((name, symbol) -> names.put(symbol.address().value(), name));
        KernelConfig.Builder builder = config.toBuilder();
        addresses.forEach(builder::kernelAddress);
        AddressRange text = architecture.kernelText(config);
        if (!addresses.isEmpty()) {
            TreeMap<Long, String> real = new TreeMap<>(Long::compareUnsigned);
            addresses.forEach((name, address) -> real.put(address.value(), name));
            Long first =
                    real.ceilingKey(architecture.encoding().wordSize() == 8 ? 1L << 32 : 1L << 16);
            if (first != null) {
                text = new AddressRange(new Address(first), real.lastKey() - first + 16);
            }
        }
        return new KernelFacts(
                architecture,
                builder.build(),
                exports,
                symvers(release).isPresent(),
                !addresses.isEmpty(),
                names,
                text,
                moduleStart(recording, release),
                keys(release, sources),
                List.copyOf(sources));
    }

    private List<Bytes> pristine(Path recording, Architecture architecture, String release)
            throws IOException {
        List<Bytes> modules = new ArrayList<>();
        for (Path zip : beside(recording, "own-*.zip")) {
            Map<String, Bytes> files = new LinkedHashMap<>();
            readZip(zip, files);
            for (Bytes file : files.values()) {
                if (isFor(file, architecture, release)) {
                    modules.add(file);
                }
            }
        }
        return modules;
    }

    private static boolean isFor(Bytes file, Architecture architecture, String release) {
        try {
            ModuleImage image = KoReader.of(architecture).readImage(file);
            return architecture.elfMachine() == image.machine()
                    && image.modinfo().first("vermagic").orElse("").startsWith(release + " ");
        } catch (LoadException e) {
            return false; // not a module of this architecture
        }
    }

    private static KernelConfig config(
            Architecture architecture, String release, List<Bytes> pristine, List<String> sources) {
        for (Bytes file : pristine) {
            ModuleImage image = KoReader.of(architecture).readImage(file);
            int section = image.sectionIndex(ModuleImage.THIS_MODULE);
            if (section <= 0) {
                continue;
            }
            String vermagic = image.modinfo().firstRaw("vermagic").orElseThrow();
            long size = image.section(section).size();
            sources.add(
                    "options: those of vermagic '%s'; struct module of %d bytes; both from own-*.zip"
                            .formatted(vermagic, size));
            return KernelConfig.forVermagic(vermagic).toBuilder()
                    .structModuleSize(OptionalLong.of(size))
                    .build();
        }
        sources.add("options: the preset for " + release + ", as no own-*.zip has its modules");
        return KernelConfig.forRelease(release);
    }

    private Map<String, ExportedSymbol> exports(
            Architecture architecture,
            KernelConfig config,
            List<Bytes> pristine,
            Map<String, Address> addresses,
            List<String> sources)
            throws IOException {
        Map<String, ExportedSymbol> exports = new HashMap<>();
        Optional<Path> file = symvers(config.release());
        if (file.isPresent()) {
            ModuleSymvers symvers = ModuleSymvers.read(file.get());
            io.github.koloader.KernelSymbols symbols =
                    symvers.symbols(
                            architecture, config, name -> Optional.ofNullable(addresses.get(name)));
            for (ModuleSymvers.Entry entry : symvers.entries()) {
                if (entry.ofKernel()) {
                    symbols.find(entry.name())
                            .ifPresent(symbol -> exports.putIfAbsent(entry.name(), symbol));
                }
            }
            sources.add("exports: " + file.get());
            return exports;
        }
        Map<String, Integer> crcs = new HashMap<>();
        List<ModuleImage> images = new ArrayList<>();
        for (Bytes module : pristine) {
            images.add(KoReader.of(architecture, config).readImage(module));
        }
        images.forEach(image -> learn(image, crcs));
        images.forEach(image -> forgetDefined(image, crcs));
        long next = architecture.kernelText(config).size() / 2;
        for (String name : sorted(crcs, addresses)) {
            Integer crc = crcs.get(name);
            Address address = addresses.get(name);
            if (address == null) {
                address = architecture.kernelText(config).start().plus(next);
                next += 16;
            }
            exports.put(
                    name,
                    new ExportedSymbol(
                            name,
                            address,
                            false,
                            "",
                            crc == null ? OptionalInt.empty() : OptionalInt.of(crc)));
        }
        sources.add(
                "exports: no Module.symvers was found (--modules, --symvers); taken from __versions of modules in"
                        + " own-*.zip and from relocation recordings, so licences and namespaces are unknown");
        return exports;
    }

    /**
     * What modules import from a kernel of which it is not known what it exports: what they have
     * CRCs for and none of them defines.
     */
    static Map<String, ExportedSymbol> importsOf(List<ModuleImage> images, KernelFacts facts) {
        Map<String, Integer> crcs = new HashMap<>();
        images.forEach(image -> learn(image, crcs));
        images.forEach(image -> forgetDefined(image, crcs));
        Map<String, ExportedSymbol> symbols = new HashMap<>();
        AddressRange text = facts.architecture().kernelText(facts.config());
        long next = text.size() / 4 * 3;
        for (String name : new java.util.TreeSet<>(crcs.keySet())) {
            symbols.put(
                    name,
                    new ExportedSymbol(
                            name,
                            text.start().plus(next),
                            false,
                            "",
                            OptionalInt.of(crcs.getOrDefault(name, 0))));
            next += 16;
        }
        return symbols;
    }

    private static List<String> sorted(Map<String, Integer> crcs, Map<String, Address> addresses) {
        java.util.TreeSet<String> names = new java.util.TreeSet<>(crcs.keySet());
        names.addAll(addresses.keySet());
        return List.copyOf(names);
    }

    /** CRCs that a module was built with. */
    private static void learn(ModuleImage image, Map<String, Integer> crcs) {
        VersionTable versions = image.versions();
        for (int i = 0; i < versions.count(); i++) {
            crcs.putIfAbsent(versions.name(i), (int) versions.crc(i));
        }
    }

    /** What a module defines is not the kernel's. */
    private static void forgetDefined(ModuleImage image, Map<String, Integer> crcs) {
        SymbolTable symbols = image.symbols();
        for (int i = 1; i < symbols.count(); i++) {
            if (symbols.sectionIndex(i) != SymbolTable.UNDEF) {
                crcs.remove(symbols.name(i));
            }
        }
    }

    private Optional<Path> symvers(String release) {
        if (options.symvers().isPresent()) {
            return options.symvers();
        }
        return firstBesideRelease(
                release,
                List.of(
                        "%release/Module.symvers",
                        "%release/build/Module.symvers",
                        "%root/usr/src/linux-headers-%name/Module.symvers",
                        "%root/usr/src/kernels/%name/Module.symvers",
                        "%root/boot/symvers-%name"));
    }

    /**
     * The first of some files that exists, in or around a release directory; {@code %root} is the
     * directory that has {@code lib/modules/RELEASE} in it.
     */
    private Optional<Path> firstBesideRelease(String release, List<String> patterns) {
        for (Path directory : options.modules()) {
            for (Path base :
                    List.of(
                            directory,
                            directory.resolve(release),
                            directory.resolve("lib/modules").resolve(release))) {
                Path name = base.toAbsolutePath().normalize().getFileName();
                if (name == null || !name.toString().equals(release)) {
                    continue;
                }
                Path root = base.toAbsolutePath().normalize().resolve("../../..").normalize();
                for (String pattern : patterns) {
                    Path file =
                            Path.of(
                                    pattern.replace("%release", base.toString())
                                            .replace("%root", root.toString())
                                            .replace("%name", release));
                    if (Files.isRegularFile(file)) {
                        return Optional.of(file);
                    }
                }
            }
        }
        return Optional.empty();
    }

    private Map<String, Address> addresses(
            Path recording, Architecture architecture, String release, List<String> sources)
            throws IOException {
        if (options.systemMap().isPresent()) {
            sources.add("addresses: " + options.systemMap().get());
            return SystemMap.read(options.systemMap().get()).addresses();
        }
        Path best = null;
        for (Path file : beside(recording, "*.jsonl.gz")) {
            JsonObject meta = meta(file);
            if (meta == null
                    || !text(meta, "release").equals(release)
                    || !architecture.equals(named(text(meta, "arch")))) {
                continue;
            }
            if (text(meta, "append").contains("nokaslr")) {
                best = file;
                break;
            }
            best = best == null ? file : best;
        }
        if (best == null) {
            sources.add(
                    "addresses: of no kernel symbol is one known: no relocation recording of this kernel"
                            + " beside, no --system-map");
            return Map.of();
        }
        Map<String, Address> addresses = new HashMap<>();
        Recording relocations = Recording.read(best);
        addresses.putAll(relocations.kernelSymbols());
        for (Recording.Line line : relocations.lines()) {
            JsonElement undef = line.json().get("undef");
            if (undef != null && undef.isJsonObject()) {
                for (Map.Entry<String, JsonElement> entry : undef.getAsJsonObject().entrySet()) {
                    Address address = Address.parse(entry.getValue().getAsString());
                    if (!address.isNull()
                            && architecture.moduleAreas(KernelConfig.forRelease(release)).stream()
                                    .noneMatch(area -> area.contains(address))) {
                        addresses.putIfAbsent(entry.getKey(), address);
                    }
                }
            }
        }
        sources.add("addresses: %d kernel symbols of %s".formatted(addresses.size(), best));
        return addresses;
    }

    private static @Nullable Architecture named(String name) {
        return io.github.koloader.arch.Architectures.named(name).orElse(null);
    }

    /** The first line of a recording, if it is one about relocations. */
    private static @Nullable JsonObject meta(Path file) throws IOException {
        try (BufferedReader reader = Recording.open(file)) {
            String first = reader.readLine();
            if (first == null) {
                return null;
            }
            JsonElement json = JsonParser.parseString(first);
            return json.isJsonObject()
                            && text(json.getAsJsonObject(), "kind").equals("meta")
                            && json.getAsJsonObject().has("syms")
                    ? json.getAsJsonObject()
                    : null;
        } catch (JsonParseException e) {
            return null; // some other file
        }
    }

    private static String text(JsonObject json, String field) {
        JsonElement element = json.get(field);
        return element == null || !element.isJsonPrimitive() ? "" : element.getAsString();
    }

    /**
     * The lowest address of a module that recordings of system calls of that kernel show: where its
     * module memory begins.
     */
    private static Optional<Address> moduleStart(Path recording, String release)
            throws IOException {
        Long lowest = null;
        for (Path file : beside(recording, "{errno,sysfs}-*.jsonl*")) {
            try (BufferedReader reader = Recording.open(file)) {
                for (String line; (line = reader.readLine()) != null; ) {
                    if (!line.contains('"' + release + '"')) {
                        break;
                    }
                    for (Matcher found = LIVE.matcher(line); found.find(); ) {
                        long address = Long.parseUnsignedLong(found.group(1), 16);
                        if (address != 0
                                && (lowest == null || Long.compareUnsigned(address, lowest) < 0)) {
                            lowest = address;
                        }
                    }
                }
            }
        }
        return Optional.ofNullable(lowest).map(Address::new);
    }

    /** The kernel itself: the one given, else the boot file beside the release directory. */
    Optional<Path> kernelImage(String release) throws IOException {
        return options.kernel().isPresent()
                ? options.kernel()
                : firstBesideRelease(
                        release,
                        List.of(
                                "%release/vmlinuz",
                                "%release/vmlinux",
                                "%root/boot/vmlinuz-%name",
                                "%root/boot/vmlinux-%name"));
    }

    /** Certificates given, else those in the kernel's boot file beside the release directory. */
    private Optional<TrustedKeys> keys(String release, List<String> sources) throws IOException {
        if (!options.certificates().isEmpty()) {
            TrustedKeys keys = TrustedKeys.none();
            for (Path file : options.certificates()) {
                keys = keys.and(TrustedKeys.read(file));
            }
            sources.add("certificates: " + options.certificates());
            return Optional.of(keys);
        }
        Optional<Path> kernel = kernelImage(release);
        if (kernel.isPresent()) {
            TrustedKeys keys = TrustedKeys.builtInto(kernel.get());
            if (!keys.subjects().isEmpty()) {
                sources.add("certificates: those in " + kernel.get() + ": " + keys.subjects());
                return Optional.of(keys);
            }
        }
        sources.add(
                "certificates: none known (--cert; or a vmlinuz beside --modules): what a signature leads to is not"
                        + " compared");
        return Optional.empty();
    }
}
