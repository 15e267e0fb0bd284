package io.github.koloader.testkit;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver.Point;
import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.Layout;
import io.github.koloader.memory.Layout.Block;
import io.github.koloader.memory.Layout.Kallsyms;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.testkit.Recording.Line;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Loads one recorded module with the addresses of the recording, and compares everything that was
 * recorded of it on entry of {@code module_finalize()}.
 *
 * <p>The section {@code .gnu.linkonce.this_module} is the live structure, which the kernel has
 * filled in: of it only what relocation sets, init and exit, is compared.
 */
final class ModuleReplay {
    private final Line line;
    private final JsonObject json;
    private final String subject;
    private final List<Difference> differences;
    private ModuleImage image = ModuleImage.builder(0, Encoding.ELF64_LSB).build();

    private ModuleReplay(Line line, List<Difference> differences) {
        this.line = line;
        this.json = line.json();
        this.subject = line.text("path", "line " + line.number());
        this.differences = differences;
    }

    static void run(
            ModuleFiles files,
            Recording recording,
            Line line,
            List<String> missing,
            List<Difference> differences)
            throws IOException {
        ModuleReplay replay = new ModuleReplay(line, differences);
        String name = line.text("arch", "?");
        Optional<Architecture> architecture = Architectures.named(name);
        if (architecture.isEmpty()) {
            replay.differ("architecture", name, "not modelled", "");
            return;
        }
        Optional<Bytes> file =
                files.find(
                        recording.path(),
                        replay.json.get("release").getAsString(),
                        replay.json.get("path").getAsString(),
                        replay.json.get("sha256").getAsString());
        if (file.isEmpty()) {
            missing.add("%s (SHA-256 %s)".formatted(replay.subject, line.text("sha256", "?")));
            return;
        }
        replay.load(architecture.get(), recording, file.get());
    }

    private void differ(String what, String recorded, String found, String detail) {
        differences.add(new Difference(subject, what, recorded, found, detail));
    }

    private void compare(String what, String recorded, String found) {
        if (!recorded.equals(found)) {
            differ(what, recorded, found, "");
        }
    }

    private void compare(String what, long recorded, long found) {
        compare(what, Long.toString(recorded), Long.toString(found));
    }

    private void compareAddress(String what, JsonElement recorded, long found) {
        compare(
                what,
                Address.parse(recorded.getAsString()).toString(),
                new Address(found).toString());
    }

    // ---- loading ----

    private void load(Architecture architecture, Recording recording, Bytes file) {
        boolean[] seen = new boolean[2];
        KernelConfig.Builder config =
                KernelConfig.forRelease(json.get("release").getAsString()).toBuilder()
                        .checkVermagic(false);
        recording.kernelSymbols().forEach(config::kernelAddress);
        Kernel kernel =
                Kernel.builder(architecture)
                        .config(config.build())
                        .symbols(recordedSymbols())
                        .strict()
                        .allocator(new RecordedAllocator(json))
                        .memoryLimit(Long.MAX_VALUE)
                        .observer(
                                (point, module) -> {
                                    if (point == Point.RELOCATED) {
                                        seen[0] = true;
                                        compareRelocated(module);
                                    } else if (point == Point.FORMED) {
                                        seen[1] = true;
                                        compareFormed(module);
                                    }
                                })
                        .build();
        try {
            image = KoReader.of(architecture).readImage(file);
            kernel.load(image, "");
        } catch (LoadException e) {
            differ("load", "loaded", "refused: " + e.getMessage(), "");
            return;
        } catch (IllegalArgumentException e) { // of the address space: recorded blocks overlap
            differ("load", "loaded", "impossible: " + e.getMessage(), "");
            return;
        }
        if (!seen[0] || !seen[1]) {
            throw new AssertionError("a load that succeeds passes all points");
        }
    }

    /** The value that the kernel gave each undefined symbol; 0 means that nobody exports it. */
    private KernelSymbols recordedSymbols() {
        Map<String, ExportedSymbol> symbols = new LinkedHashMap<>();
        json.getAsJsonObject("undef")
                .entrySet()
                .forEach(
                        entry -> {
                            Address address = Address.parse(entry.getValue().getAsString());
                            if (!address.isNull()) {
                                symbols.put(
                                        entry.getKey(), ExportedSymbol.of(entry.getKey(), address));
                            }
                        });
        return name -> Optional.ofNullable(symbols.get(name));
    }

    // ---- comparing ----

    private void compareRelocated(Module module) {
        compareBlocks(module);
        compareSections(module);
        compareSymbols(module);
        comparePerCpu(module);
        if (json.has("core_kallsyms")) {
            compareKallsyms(module, json.getAsJsonObject("core_kallsyms"));
        }
        compareAddress(
                "init function", json.get("init_fn"), module.init().map(Address::value).orElse(0L));
        compareAddress(
                "exit function", json.get("exit_fn"), module.exit().map(Address::value).orElse(0L));
        compareRaw(module);
    }

    private void compareFormed(Module module) {
        long gpl = module.exports().stream().filter(ExportedSymbol::gplOnly).count();
        compare("plain exports", json.get("num_syms").getAsLong(), module.exports().size() - gpl);
        compare("GPL-only exports", json.get("num_gpl_syms").getAsLong(), gpl);
    }

    private void compareBlocks(Module module) {
        List<Block> blocks = module.layout().blocks();
        List<Address> bases = module.blockAddresses();
        if (json.has("mem")) {
            int index = 0;
            for (JsonElement element : json.getAsJsonArray("mem")) {
                JsonObject recorded = element.getAsJsonObject();
                String type = recorded.get("type").getAsString();
                if (index >= blocks.size()) {
                    break;
                }
                Block block = blocks.get(index);
                compare("memory type " + index, type, block.parts().get(0).type().kernelName());
                compareAddress(type + " base", recorded.get("base"), bases.get(index).value());
                compare(type + " size", recorded.get("size").getAsLong(), block.size());
                index++;
            }
            compare("memory types", json.getAsJsonArray("mem").size(), blocks.size());
            return;
        }
        compareBlock("core", blocks.get(0), bases.get(0));
        compareBlock("init", blocks.get(1), bases.get(1));
    }

    private void compareBlock(String name, Block block, Address base) {
        JsonObject recorded = json.getAsJsonObject(name);
        compareAddress(name + " base", recorded.get("base"), base.value());
        compare(name + " size", recorded.get("size").getAsLong(), block.size());
        long text = 0;
        long readOnly = 0;
        long readOnlyAfterInit = 0;
        for (Layout.Part part : block.parts()) {
            long end = part.offset() + part.size();
            switch (part.type()) {
                case TEXT, INIT_TEXT -> text = end;
                case RODATA, INIT_RODATA -> readOnly = end;
                case RO_AFTER_INIT -> readOnlyAfterInit = end;
                case DATA, INIT_DATA -> {}
            }
        }
        compare(name + " text size", recorded.get("text_size").getAsLong(), text);
        compare(name + " read-only size", recorded.get("ro_size").getAsLong(), readOnly);
        compare(
                name + " read-only-after-init size",
                recorded.get("ro_after_init_size").getAsLong(),
                Math.max(readOnly, readOnlyAfterInit));
    }

    private void compareSections(Module module) {
        Map<Integer, LoadedSection> loaded = new LinkedHashMap<>();
        module.sections().forEach(section -> loaded.put(section.index(), section));
        for (JsonElement element : json.getAsJsonArray("sections")) {
            JsonObject recorded = element.getAsJsonObject();
            int index = recorded.get("i").getAsInt();
            String name = recorded.get("name").getAsString();
            if (recorded.has("percpu_template")) {
                comparePerCpuTemplate(module, recorded, index);
                continue;
            }
            LoadedSection section = loaded.remove(index);
            String what = "section " + index + " " + name;
            if (section == null) {
                differ(what, "allocated", "not allocated", "");
                continue;
            }
            compare(what + " name", name, section.name());
            compareAddress(what + " address", recorded.get("addr"), section.address().value());
            compare(what + " size", recorded.get("size").getAsLong(), section.size());
            if (!name.equals(ModuleImage.THIS_MODULE)) {
                compareContents(module, what, recorded, section, module.contents(section));
            }
        }
        loaded.values()
                .forEach(
                        section ->
                                differ(
                                        "section " + section.name(),
                                        "not allocated",
                                        "allocated",
                                        ""));
    }

    private void comparePerCpuTemplate(Module module, JsonObject recorded, int index) {
        String what = "section " + index + " per-CPU template";
        var section = image.section(index);
        compare(what + " size", recorded.get("size").getAsLong(), section.size());
        compareAddress(
                what + " address",
                recorded.get("addr"),
                module.imageAddress().value() + section.offset());
        Bytes contents =
                section.contents().isEmpty()
                        ? Bytes.wrap(new byte[(int) section.size()])
                        : section.contents();
        compare(what + " SHA-256", recorded.get("sha").getAsString(), ModuleFiles.sha256(contents));
    }

    private void compareContents(
            Module module, String what, JsonObject recorded, LoadedSection section, Bytes found) {
        String sha = recorded.get("sha").getAsString();
        String foundSha = ModuleFiles.sha256(found);
        if (sha.equals(foundSha)) {
            return;
        }
        Optional<byte[]> bytes = recordedBytes(module, recorded, section);
        if (bytes.isEmpty()) {
            differ(
                    what + " SHA-256",
                    sha,
                    foundSha,
                    "%d relocations patch it; its bytes were not recorded"
                            .formatted(relocationCount(section.index())));
            return;
        }
        int at = firstDifference(bytes.get(), found);
        differ(
                what + " byte 0x" + Integer.toHexString(at),
                byteAt(Bytes.wrap(bytes.get()), at),
                byteAt(found, at),
                covering(section.index(), at));
    }

    /** The recorded bytes of a section: on their own, or cut from those of its block. */
    private Optional<byte[]> recordedBytes(
            Module module, JsonObject recorded, LoadedSection section) {
        JsonObject raw = json.getAsJsonObject("raw");
        String index = Integer.toString(section.index());
        if (raw != null && raw.has(index)) {
            return Optional.of(Base64.getDecoder().decode(raw.get(index).getAsString()));
        }
        if (recorded.has("hex")) {
            return Optional.of(HexFormat.of().parseHex(recorded.get("hex").getAsString()));
        }
        int block = module.layout().blockOf(section.index());
        Block layout = module.layout().blocks().get(block);
        int from = (int) module.layout().offsetOf(section.index());
        int to = from + (int) section.size();
        return rawBlock(layout.types(), layout.isInit())
                .filter(bytes -> to <= bytes.length)
                .map(bytes -> Arrays.copyOfRange(bytes, from, to));
    }

    private static int firstDifference(byte[] recorded, Bytes found) {
        int common = Math.min(recorded.length, found.size());
        for (int i = 0; i < common; i++) {
            if (recorded[i] != found.get(i)) {
                return i;
            }
        }
        return common;
    }

    private static String byteAt(Bytes bytes, int index) {
        return index < bytes.size() ? "%02x".formatted(bytes.get(index)) : "the end";
    }

    private int relocationCount(int section) {
        return image.relocationsFor(section).stream().mapToInt(RelocationTable::count).sum();
    }

    /** The section that a byte of a block lies in, and the relocation that patches it. */
    private String coveringInBlock(Module module, int block, long offset) {
        for (LoadedSection section : module.sections()) {
            long start = module.layout().offsetOf(section.index());
            if (module.layout().blockOf(section.index()) == block
                    && start <= offset
                    && offset < start + section.size()) {
                return section.name() + ", " + covering(section.index(), offset - start);
            }
        }
        return "in no section";
    }

    /** The relocation that patches a byte of a section. */
    private String covering(int section, long offset) {
        Architecture architecture =
                Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
        SymbolTable symbols = image.symbols();
        for (RelocationTable table : image.relocationsFor(section)) {
            for (int i = 0; i < table.count(); i++) {
                RelocationType row = architecture.relocationTypes().byCode(table.type(i));
                int size = row == null ? 1 : row.field().size();
                if (table.offset(i) <= offset && offset < table.offset(i) + size) {
                    return "relocation %d of section %d: %s at 0x%x, %s + %d"
                            .formatted(
                                    i,
                                    table.section(),
                                    row == null ? "type " + table.type(i) : row.name(),
                                    table.offset(i),
                                    symbols.name(table.symbolIndex(i)),
                                    table.addend(i));
                }
            }
        }
        return "no relocation covers it";
    }

    private void compareSymbols(Module module) {
        SymbolTable symbols = image.symbols();
        long[] values = module.symbolValues();
        JsonObject recorded = json.getAsJsonObject("undef");
        for (int i = 1; i < values.length; i++) {
            if (symbols.sectionIndex(i) == SymbolTable.UNDEF) {
                String name = symbols.name(i);
                JsonElement value = recorded.get(name);
                if (value == null) {
                    differ(
                            "symbol " + name,
                            "not undefined",
                            new Address(values[i]).toString(),
                            "");
                } else {
                    compareAddress("symbol " + name, value, values[i]);
                }
            }
        }
    }

    private void comparePerCpu(Module module) {
        compareAddress(
                "per-CPU base",
                json.get("percpu"),
                module.perCpuBase().map(Address::value).orElse(0L));
        long size = module.perCpuRegions().isEmpty() ? 0 : module.perCpuRegions().get(0).size();
        compare("per-CPU size", json.get("percpu_size").getAsLong(), size);
        if (json.has("percpu_cpu0") && size > 0) {
            compare(
                    "per-CPU data of CPU 0, SHA-256",
                    json.getAsJsonObject("percpu_cpu0").get("sha").getAsString(),
                    ModuleFiles.sha256(module.perCpuRegions().get(0).contents()));
        }
    }

    private void compareKallsyms(Module module, JsonObject recorded) {
        Kallsyms room = module.layout().kallsyms();
        long base = module.blockAddresses().get(room.coreBlock()).value();
        compareAddress("kallsyms symbols", recorded.get("symtab"), base + room.coreSymbols());
        compareAddress("kallsyms strings", recorded.get("strtab"), base + room.coreStrings());
        compareAddress("kallsyms types", recorded.get("typetab"), base + room.coreTypes());
        compare("kallsyms count", recorded.get("num").getAsLong(), room.coreCount());
        Bytes block = module.blockContents(room.coreBlock());
        compare(
                "kallsyms type letters",
                recorded.get("types").getAsString(),
                block.slice((int) room.coreTypes(), room.coreCount()).toLatin1());
        int size = (int) (room.coreTypes() + room.coreCount() - room.coreSymbols());
        compare(
                "kallsyms SHA-256",
                recorded.get("sha").getAsString(),
                ModuleFiles.sha256(block.slice((int) room.coreSymbols(), size)));
    }

    // ---- whole blocks, where their bytes were recorded ----

    private void compareRaw(Module module) {
        List<Block> blocks = module.layout().blocks();
        for (int i = 0; i < blocks.size(); i++) {
            Optional<byte[]> recorded = rawBlock(blocks.get(i).types(), blocks.get(i).isInit());
            if (recorded.isPresent() && module.blockAddresses().get(i).value() != 0) {
                compareRawBlock(module, i, recorded.get());
            }
        }
    }

    private Optional<byte[]> rawBlock(Set<MemoryType> types, boolean init) {
        JsonElement raw;
        if (json.has("raw_mem")) {
            raw = json.getAsJsonObject("raw_mem").get(types.iterator().next().kernelName());
        } else {
            raw = json.get(init ? "raw_init" : "raw_core");
        }
        return raw == null
                ? Optional.empty()
                : Optional.of(Base64.getDecoder().decode(raw.getAsString()));
    }

    private void compareRawBlock(Module module, int block, byte[] recorded) {
        Bytes found = module.blockContents(block);
        long base = module.blockAddresses().get(block).value();
        Optional<LoadedSection> structure = module.section(ModuleImage.THIS_MODULE);
        long from = structure.map(section -> section.address().value() - base).orElse(-1L);
        long to = structure.map(section -> from + section.size()).orElse(-1L);
        compare("size of block " + block, recorded.length, found.size());
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < Math.min(recorded.length, found.size()); i++) {
            if (recorded[i] != found.get(i) && (i < from || i >= to)) {
                places.add(i);
            }
        }
        if (!places.isEmpty()) {
            int at = places.get(0);
            differ(
                    "block %d byte 0x%x (%d bytes differ)".formatted(block, at, places.size()),
                    "%02x".formatted(recorded[at]),
                    "%02x".formatted(found.get(at)),
                    coveringInBlock(module, block, at));
        }
    }

    /** The line replayed. */
    @Override
    public String toString() {
        return "line " + line.number();
    }
}
