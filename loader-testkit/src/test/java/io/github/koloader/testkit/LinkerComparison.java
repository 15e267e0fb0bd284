package io.github.koloader.testkit;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadedSection;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Formula;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.memory.Address;
import io.github.koloader.testkit.Loads.Relocated;
import java.io.IOException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Links what was loaded with GNU ld, at the same addresses, and compares every byte of memory. What
 * is left out, for ld does otherwise by design: veneers and GOT (imported symbols lie within reach
 * here, so that few are needed), the exception table, which is sorted by then, and Arm's {@code
 * bx}, which ld rewrites on request only; and sections of which ld says that some value does not
 * fit.
 */
final class LinkerComparison {
    /** What ppc64 reaches by stubs that take it for text of the kernel. */
    private static final Set<String> TRACERS =
            Set.of("_mcount", "ftrace_caller", "ftrace_regs_caller");

    /** Moves of a sign: ld keeps a bit that no such instruction has set, and data may. */
    private static final Pattern MOVES = Pattern.compile("R_AARCH64_MOVW_(SABS|PREL)_G\\d");

    private static final long REACH = 0x400000;
    private static final String EXCEPTION_TABLE = "__ex_table";

    private LinkerComparison() {}

    /** Returns the number of places compared; none of a module that no kernel takes. */
    static int compare(
            Architecture architecture,
            List<String> linker,
            ModuleImage image,
            String subject,
            Path directory,
            List<String> differences)
            throws IOException, InterruptedException {
        if (hasUnknownTypes(architecture, image)) {
            System.out.printf("no kernel of %s takes %s%n", architecture.name(), subject);
            return 0;
        }
        Relocated load = load(architecture, image);
        LinkedModule linked =
                LinkedModule.link(
                        linker,
                        image,
                        load,
                        (table, entry) -> isLeftOut(architecture, image, load, table, entry),
                        directory);
        int places = 0;
        for (LoadedSection section : load.sections().values()) {
            if (!LinkedModule.inMemory(image, load, section.index())
                    || section.name().equals(EXCEPTION_TABLE)
                    || image.section(section.index()).contents().isEmpty()) {
                continue;
            }
            if (linked.complainsOf(section.index()) || isUnused(image, section)) {
                continue;
            }
            BitSet left = new BitSet();
            for (RelocationTable table : image.relocationsFor(section.index())) {
                places += table.count() - leaveOut(architecture, image, load, table, left);
            }
            Bytes here = load.contents().get(section.index());
            Bytes there = linked.contents(section.index());
            for (int i = 0; i < image.section(section.index()).size(); i++) {
                if (!left.get(i) && here.get(i) != there.get(i)) {
                    differences.add(
                            "%s %s+%x: loaded %s, linked %s%s"
                                    .formatted(
                                            subject,
                                            section.name(),
                                            i,
                                            hex(here, i),
                                            hex(there, i),
                                            covering(architecture, image, section, i)));
                    break;
                }
            }
        }
        return places;
    }

    /** A TOC that nothing relocates: ld leaves it away. */
    private static boolean isUnused(ModuleImage image, LoadedSection section) {
        return section.name().equals(".toc") && image.relocationsFor(section.index()).isEmpty();
    }

    private static String hex(Bytes bytes, int at) {
        StringBuilder text = new StringBuilder();
        for (int i = at; i < Math.min(at + 8, bytes.size()); i++) {
            text.append("%02x".formatted(bytes.get(i)));
        }
        return text.toString();
    }

    private static String covering(
            Architecture architecture, ModuleImage image, LoadedSection section, int at) {
        for (RelocationTable table : image.relocationsFor(section.index())) {
            for (int i = 0; i < table.count(); i++) {
                RelocationType row = architecture.relocationTypes().byCode(table.type(i));
                long distance = at - table.offset(i);
                if (row != null && distance >= 0 && distance < row.field().size()) {
                    return " (%s %s)"
                            .formatted(row.name(), image.symbols().name(table.symbolIndex(i)));
                }
            }
        }
        return "";
    }

    // ---- what ld does otherwise ----

    /** Marks the places that are not compared, and returns how many there are. */
    private static int leaveOut(
            Architecture architecture,
            ModuleImage image,
            Relocated load,
            RelocationTable table,
            BitSet left) {
        int count = 0;
        for (int i = 0; i < table.count(); i++) {
            if (isLeftOut(architecture, image, load, table, i)) {
                int offset = (int) table.offset(i);
                int size = row(architecture, table, i).field().size();
                boolean call = name(architecture, table, i).equals("R_PPC64_REL24");
                left.set(offset, offset + (call ? 8 : size)); // with the word behind the call
                count++;
            } else if (row(architecture, table, i).formula() == Formula.NONE) {
                count++;
            }
        }
        return count;
    }

    private static boolean isLeftOut(
            Architecture architecture,
            ModuleImage image,
            Relocated load,
            RelocationTable table,
            int entry) {
        String name = name(architecture, table, entry);
        int symbol = table.symbolIndex(entry);
        return isComposed(architecture, table, entry)
                || MOVES.matcher(name).matches()
                || name.contains("_GOT")
                || name.equals("R_ARM_V4BX")
                || name.equals("R_PPC64_REL24")
                        && image.symbols().sectionIndex(symbol) == SymbolTable.UNDEF
                || name.contains("PCREL_LO12") && isSlot(architecture, load, table, symbol);
    }

    /** Whether ld would take an entry without a value before this one for a part of it. */
    private static boolean isComposed(Architecture architecture, RelocationTable table, int entry) {
        return entry > 0
                && architecture.name().startsWith("mips")
                && table.offset(entry - 1) == table.offset(entry);
    }

    /** Whether a symbol is where a load from a GOT slot begins. */
    private static boolean isSlot(
            Architecture architecture, Relocated load, RelocationTable table, int symbol) {
        for (int i = 0; i < table.count(); i++) {
            if (name(architecture, table, i).endsWith("GOT_HI20")
                    && addressOf(load, table, i) == load.values()[symbol]) {
                return true;
            }
        }
        return false;
    }

    private static long addressOf(Relocated load, RelocationTable table, int entry) {
        return load.sections().get(table.target()).address().value() + table.offset(entry);
    }

    private static boolean hasUnknownTypes(Architecture architecture, ModuleImage image) {
        for (RelocationTable table : image.relocations()) {
            boolean applied = image.section(table.target()).flags().alloc();
            for (int i = 0; applied && i < table.count(); i++) {
                if (architecture.relocationTypes().byCode(type(table, i)) == null) {
                    return true;
                }
            }
        }
        return false;
    }

    /** The first of the three that 64-bit MIPS has room for. */
    private static int type(RelocationTable table, int entry) {
        return switch (table.format()) {
            case MIPS_REL64, MIPS_RELA64 -> table.type(entry) & 0xff;
            default -> table.type(entry);
        };
    }

    private static RelocationType row(Architecture architecture, RelocationTable table, int entry) {
        RelocationType row = architecture.relocationTypes().byCode(type(table, entry));
        if (row == null) {
            throw new AssertionError("no row of type " + table.type(entry));
        }
        return row;
    }

    private static String name(Architecture architecture, RelocationTable table, int entry) {
        return row(architecture, table, entry).name();
    }

    // ---- loading ----

    /** With imported symbols not far behind the module. */
    private static Relocated load(Architecture architecture, ModuleImage image) {
        KernelConfig config =
                image.modinfo()
                        .firstRaw("vermagic")
                        .map(KernelConfig::forVermagic)
                        .orElseGet(KernelConfig::linux6_1);
        Address near = architecture.moduleAreas(config).get(0).start().plus(REACH);
        Address kernelText = architecture.kernelText(config).start();
        Set<String> imports = imports(image);
        KernelSymbols symbols =
                name ->
                        imports.contains(name)
                                ? Optional.of(
                                        ExportedSymbol.of(
                                                name,
                                                TRACERS.contains(name)
                                                        ? kernelText
                                                        : near.plus(name.hashCode() & 0xffff0)))
                                : Optional.empty();
        Kernel.Builder kernel =
                Kernel.builder(architecture)
                        .config(config.toBuilder().modversions(false).build())
                        .symbols(symbols)
                        .allocator(Loads.allocator(architecture, config, 0));
        return Loads.relocated(image, kernel);
    }

    /** Names of undefined symbols, also as ppc64 asks for them: without a leading dot. */
    private static Set<String> imports(ModuleImage image) {
        Set<String> names = new HashSet<>();
        SymbolTable symbols = image.symbols();
        for (int i = 1; i < symbols.count(); i++) {
            if (symbols.sectionIndex(i) == SymbolTable.UNDEF) {
                names.add(symbols.name(i));
                names.add(symbols.name(i).replaceFirst("^\\.", ""));
            }
        }
        return names;
    }
}
