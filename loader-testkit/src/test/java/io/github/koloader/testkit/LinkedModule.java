package io.github.koloader.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.koloader.LoadedSection;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.KoWriter;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.testkit.Loads.Relocated;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A module as GNU ld links it: at the section addresses and with the symbol values that a load came
 * to. To the linker its sections are plain bytes under names of ours, so that it merges, sorts and
 * edits none of them.
 */
final class LinkedModule {
    private static final List<String> OPTIONS =
            List.of(
                    "--verbose", // all complaints, not the first ten
                    "-static",
                    "-N",
                    "--no-relax",
                    "--no-check-sections",
                    "--noinhibit-exec");
    private static final long KEPT =
            SectionFlags.WRITE | SectionFlags.ALLOC | SectionFlags.EXECINSTR;

    private final Map<String, Bytes> contents;

    private final String complaints;

    private LinkedModule(Map<String, Bytes> contents, String complaints) {
        this.contents = contents;
        this.complaints = complaints;
    }

    /** Bytes of a section by its index in the module. */
    Bytes contents(int section) {
        Bytes found = contents.get(nameOf(section));
        if (found == null) {
            throw new AssertionError("the linker has no section " + section + ": " + complaints);
        }
        return found;
    }

    /**
     * Whether ld had something to say about a place in a section: some then leave the rest of the
     * section alone.
     */
    boolean complainsOf(int section) {
        return complaints.contains("(" + nameOf(section) + "+0x");
    }

    /** The linker for an architecture with the options that it needs; empty if it is absent. */
    static Optional<List<String>> linker(Architecture architecture) {
        List<String> command = new ArrayList<>(command(architecture));
        for (String directory : System.getenv("PATH").split(":")) {
            Path file = Path.of(directory).resolve(command.get(0));
            if (Files.isExecutable(file)) {
                command.set(0, file.toString());
                command.addAll(OPTIONS);
                return Optional.of(command);
            }
        }
        return Optional.empty();
    }

    /** The linker for an architecture. */
    static List<String> command(Architecture architecture) {
        return switch (architecture.name()) {
            case "arm64" -> List.of("aarch64-linux-gnu-ld");
            case "arm" -> List.of("arm-linux-gnueabihf-ld", "--no-fix-arm1176");
            case "i386" -> List.of("i686-linux-gnu-ld");
            case "ppc64le" ->
                    List.of("powerpc64le-linux-gnu-ld", "--no-toc-optimize", "--no-multi-toc");
            case "s390x" -> List.of("s390x-linux-gnu-ld");
            case "mips64el" -> List.of("mips64el-linux-gnuabi64-ld");
            case "mips64" -> List.of("mips64el-linux-gnuabi64-ld", "-m", "elf64btsmip");
            case "mips32el" -> List.of("mipsel-linux-gnu-ld");
            case "mips32" -> List.of("mipsel-linux-gnu-ld", "-m", "elf32btsmip");
            case "riscv64" -> List.of("riscv64-linux-gnu-ld");
            case "riscv32" -> List.of("riscv64-linux-gnu-ld", "-m", "elf32lriscv");
            default -> List.of(architecture.name() + "-linux-gnu-ld");
        };
    }

    /** Which relocations the linker does not get to see. */
    @FunctionalInterface
    interface LeftOut {
        boolean leavesOut(RelocationTable table, int entry);
    }

    /** Links a module in that directory. */
    static LinkedModule link(
            List<String> linker, ModuleImage image, Relocated load, LeftOut leftOut, Path directory)
            throws IOException, InterruptedException {
        Path object = directory.resolve("module.o");
        Path script = directory.resolve("module.ld");
        Path output = directory.resolve("module.out");
        Path log = directory.resolve("module.log");
        KoWriter.write(forLinker(image, load, leftOut), object);
        Files.writeString(script, script(image, load));
        Files.deleteIfExists(output);
        List<String> command = new ArrayList<>(linker);
        command.addAll(List.of("-e", "0", "-T", script.toString(), "-o", output.toString()));
        command.add(object.toString());
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        process.waitFor();
        String complaints = Files.readString(log);
        if (!Files.exists(output)) {
            throw new AssertionError("ld failed: " + complaints);
        }
        return new LinkedModule(sections(Files.readAllBytes(output), image.encoding()), complaints);
    }

    private static String nameOf(int section) {
        return "s" + section;
    }

    private static String script(ModuleImage image, Relocated load) {
        StringBuilder script = new StringBuilder("SECTIONS {\n");
        for (LoadedSection section : load.sections().values()) {
            if (!inMemory(image, load, section.index())) {
                continue;
            }
            String name = nameOf(section.index());
            String input = isToc(image, section.index()) ? ".toc" : name;
            script.append(
                    "  %s 0x%x : SUBALIGN(1) { *(%s) }\n"
                            .formatted(name, section.address().value(), input));
        }
        return script.append("  /DISCARD/ : { *(*) }\n}\n").toString();
    }

    /** Whether a section is in memory because its file says so: not the loader's symbol tables. */
    static boolean inMemory(ModuleImage image, Relocated load, int section) {
        return load.sections().containsKey(section) && image.section(section).flags().alloc();
    }

    /** The one section whose name means something to a linker: ppc64 counts from it. */
    private static boolean isToc(ModuleImage image, int section) {
        return image.section(section).name().equals(".toc");
    }

    // ---- what the linker is given ----

    private static ModuleImage forLinker(ModuleImage image, Relocated load, LeftOut leftOut) {
        List<Section> sections = new ArrayList<>();
        int names = 0;
        for (int i = 1; i < image.sections().size(); i++) {
            Section old = image.section(i);
            if (old.name().equals(".shstrtab")) {
                names = sections.size();
            }
            sections.add(forLinker(image, load, i));
        }
        for (RelocationTable table : image.relocations()) {
            Section section = sections.get(table.section() - 1);
            if (!section.contents().isEmpty()) {
                sections.set(table.section() - 1, section.withContents(entries(table, leftOut)));
            }
        }
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        text.writeBytes(sections.get(names).contents().toByteArray());
        for (Section section : sections) {
            text.writeBytes(section.name().getBytes(UTF_8));
            text.write(0);
        }
        sections.set(names, sections.get(names).withContents(Bytes.wrap(text.toByteArray())));
        ModuleImage.Builder builder = ModuleImage.builder(image.machine(), image.encoding());
        sections.forEach(builder::section);
        return builder.flags(image.flags()).build();
    }

    private static Section forLinker(ModuleImage image, Relocated load, int index) {
        Section old = image.section(index);
        if (index == image.symbolSection()) {
            return old.withContents(symbols(image, load));
        }
        if (inMemory(image, load, index)) {
            return opaque(old, isToc(image, index) ? ".toc" : nameOf(index));
        }
        boolean table = old.type().equals(SectionType.RELA) || old.type().equals(SectionType.REL);
        boolean kept =
                table ? inMemory(image, load, old.info()) : old.type().equals(SectionType.STRTAB);
        return kept ? old : nothing(index);
    }

    /** Those left out become type 0, which is none everywhere. */
    private static Bytes entries(RelocationTable table, LeftOut leftOut) {
        byte[] entries = table.entries().toByteArray();
        boolean big = table.encoding().bigEndian();
        for (int i = 0; i < table.count(); i++) {
            if (leftOut.leavesOut(table, i)) {
                int at = i * table.format().entrySize();
                switch (table.format()) {
                    case REL32, RELA32 -> entries[at + (big ? 7 : 4)] = 0;
                    case REL64, RELA64 -> Words.write(entries, at + (big ? 12 : 8), 4, 0, big);
                    case MIPS_REL64, MIPS_RELA64 -> Words.write(entries, at + 12, 4, 0, big);
                }
            }
        }
        return Bytes.wrap(entries);
    }

    private static Section opaque(Section old, String name) {
        return new Section(
                name,
                old.type().hasContents() ? SectionType.PROGBITS : SectionType.NOBITS,
                SectionFlags.of(old.flags().bits() & KEPT | SectionFlags.ALLOC),
                0,
                old.size(),
                old.alignment(),
                0,
                0,
                0,
                old.contents());
    }

    private static Section nothing(int index) {
        return Section.progbits("none" + index, 0, 1, Bytes.EMPTY);
    }

    /** All symbols that do not lie in the module's memory become absolute, with their values. */
    private static Bytes symbols(ModuleImage image, Relocated load) {
        SymbolTable symbols = image.symbols();
        Encoding encoding = image.encoding();
        byte[] entries = symbols.entries().toByteArray();
        boolean big = encoding.bigEndian();
        boolean wide = encoding.wide();
        for (int i = 1; i < symbols.count(); i++) {
            int section = symbols.sectionIndex(i);
            if (!inMemory(image, load, section)) {
                int at = i * encoding.symbolSize();
                Words.write(entries, at + (wide ? 6 : 14), 2, SymbolTable.ABS, big);
                Words.write(
                        entries, at + (wide ? 8 : 4), encoding.wordSize(), load.values()[i], big);
                int info = at + (wide ? 4 : 12);
                boolean isSection = (entries[info] & 0xf) == 3;
                entries[info] = (byte) (isSection ? entries[info] & 0xf0 : entries[info]);
            }
        }
        return Bytes.wrap(entries);
    }

    // ---- what it gives ----

    private static Map<String, Bytes> sections(byte[] file, Encoding encoding) {
        boolean wide = encoding.wide();
        boolean big = encoding.bigEndian();
        int word = encoding.wordSize();
        long table = Words.read(file, wide ? 0x28 : 0x20, word, big);
        int entrySize = (int) Words.read(file, wide ? 0x3a : 0x2e, 2, big);
        int count = (int) Words.read(file, wide ? 0x3c : 0x30, 2, big);
        int names = (int) Words.read(file, wide ? 0x3e : 0x32, 2, big);
        long[] offsets = new long[count];
        long[] sizes = new long[count];
        for (int i = 0; i < count; i++) {
            int at = (int) table + i * entrySize;
            offsets[i] = Words.read(file, at + (wide ? 0x18 : 0x10), word, big);
            sizes[i] = Words.read(file, at + (wide ? 0x20 : 0x14), word, big);
        }
        Map<String, Bytes> sections = new HashMap<>();
        for (int i = 1; i < count; i++) {
            int at = (int) table + i * entrySize;
            int name = (int) (offsets[names] + Words.read(file, at, 4, big));
            int end = name;
            while (file[end] != 0) {
                end++;
            }
            boolean bits = Words.read(file, at + 4, 4, big) != 8; // NOBITS
            byte[] bytes = new byte[(int) sizes[i]];
            if (bits) {
                System.arraycopy(file, (int) offsets[i], bytes, 0, bytes.length);
            }
            sections.put(new String(file, name, end - name, UTF_8), Bytes.wrap(bytes));
        }
        return sections;
    }

    /** The modules below a directory. */
    static List<Path> modulesBelow(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(directory)) {
            return files.filter(file -> file.toString().endsWith(".ko")).sorted().toList();
        }
    }
}
