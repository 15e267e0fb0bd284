package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;

import io.github.koloader.Errno;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.Binding;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Symbol;
import io.github.koloader.testkit.PlacedImage.Placed;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * One relocation of a row, in a section of 64 bytes at an address of one's own choice, with the
 * sections that the loader fills at another. A value: each change makes another trial.
 *
 * @param architecture whose row
 * @param row the row
 * @param config a kernel that has it
 * @param s value of the symbol
 * @param a addend; with REL it lies in the bytes
 * @param address address of the section
 * @param offset offset of the place
 * @param rest address of the sections that the loader fills, and of the bytes before the first
 * @param bytes the section before
 * @param inModule whether the symbol is defined in the module
 * @param before relocations that are applied to the section before
 * @param after relocations that are applied to it behind
 */
record RowTrial(
        Architecture architecture,
        RelocationType row,
        KernelConfig config,
        long s,
        long a,
        long address,
        int offset,
        long rest,
        Bytes bytes,
        boolean inModule,
        List<Neighbour> before,
        List<Neighbour> after) {
    /** Bytes of the section. */
    static final int SIZE = 64;

    /** Another relocation: its symbol is undefined. */
    record Neighbour(int type, int offset, long s, long a) {}

    /**
     * What came of it.
     *
     * @param bytes the section
     * @param refused the errno, if it was refused
     * @param rest what the loader made: each section that it fills, then the bytes before the first
     */
    record Result(Bytes bytes, Optional<Errno> refused, List<Bytes> rest) {}

    /**
     * A kernel that has the row: the preset of 6.1 if it does, else one with Thumb-2 code, else a
     * later one; without veneers where such can be built.
     */
    static KernelConfig kernelWith(Architecture architecture, RelocationType row, boolean plts) {
        for (KernelConfig preset : List.of(KernelConfig.linux6_1(), KernelConfig.linux6_12())) {
            for (boolean thumb : new boolean[] {false, true}) {
                KernelConfig.Builder config =
                        preset.toBuilder()
                                .kconfig("CONFIG_THUMB2_KERNEL", thumb)
                                .kconfig("CONFIG_DYNAMIC_FTRACE", false);
                VeneerForms.PLT_OPTIONS.forEach(option -> config.kconfig(option, plts));
                KernelConfig kernel = config.build();
                if (row.equals(architecture.relocationTypes(kernel).byCode(row.code()))) {
                    return kernel;
                }
            }
        }
        throw new AssertionError("no kernel of " + architecture.name() + " has " + row);
    }

    RowTrial in(KernelConfig newConfig) {
        return new RowTrial(
                architecture,
                row,
                newConfig,
                s,
                a,
                address,
                offset,
                rest,
                bytes,
                inModule,
                before,
                after);
    }

    RowTrial withS(long newS) {
        return new RowTrial(
                architecture,
                row,
                config,
                wrap(newS),
                a,
                address,
                offset,
                rest,
                bytes,
                inModule,
                before,
                after);
    }

    RowTrial withA(long newA) {
        return new RowTrial(
                architecture,
                row,
                config,
                s,
                newA,
                address,
                offset,
                rest,
                bytes,
                inModule,
                before,
                after);
    }

    /** The section and what the loader fills, each so many bytes higher. */
    RowTrial moved(long section, long loaders) {
        return new RowTrial(
                architecture,
                row,
                config,
                s,
                a,
                wrap(address + section),
                offset,
                wrap(rest + loaders),
                bytes,
                inModule,
                before,
                after);
    }

    RowTrial withBytes(Bytes newBytes) {
        return new RowTrial(
                architecture,
                row,
                config,
                s,
                a,
                address,
                offset,
                rest,
                newBytes,
                inModule,
                before,
                after);
    }

    RowTrial with(List<Neighbour> newBefore, List<Neighbour> newAfter) {
        return new RowTrial(
                architecture,
                row,
                config,
                s,
                a,
                address,
                offset,
                rest,
                bytes,
                inModule,
                newBefore,
                newAfter);
    }

    /** An address as the architecture has it: 32 bits are zero-extended. */
    private long wrap(long value) {
        return architecture.encoding().wide() ? value : value & 0xffff_ffffL;
    }

    boolean big() {
        return architecture.encoding().bigEndian();
    }

    /** Address of the place. */
    long p() {
        return address + offset;
    }

    /** What the place holds before. */
    long place() {
        return Words.read(bytes.toByteArray(), offset, row.field().size(), big());
    }

    Result run() {
        boolean addends = architecture.acceptsRelocations(true);
        PlacedImage image = new PlacedImage(architecture, config, addends).withLoaderSections();
        image.placePrefix(rest).place(".toc", rest).placeRest(rest + 0x1000);
        int section = image.section(".text", ALLOC | EXECINSTR, address, bytes.toByteArray());
        List<Relocation> relocations = new ArrayList<>();
        before.forEach(each -> relocations.add(neighbour(image, each, addends)));
        Symbol.Place place = inModule ? new Symbol.InSection(section) : new Symbol.Undefined();
        int symbol =
                image.symbol(
                        new Symbol("target", Binding.GLOBAL, Symbol.NOTYPE, 0, place, 0, 0), s);
        relocations.add(new Relocation(offset, row.code(), symbol, addends ? a : 0));
        after.forEach(each -> relocations.add(neighbour(image, each, addends)));
        relocations.forEach(relocation -> image.relocation(section, relocation));
        Placed placed = image.plan().place();
        Optional<Errno> refused = Optional.empty();
        try {
            placed.relocate();
        } catch (LoadException e) {
            refused = Optional.of(e.errno());
        }
        List<Bytes> made = new ArrayList<>();
        LoaderSections.of(architecture, config)
                .forEach(each -> made.add(bytesOf(placed.section(each.name()))));
        made.add(bytesOf(placed.prefix()));
        return new Result(bytesOf(placed.section(".text")), refused, made);
    }

    private static Relocation neighbour(PlacedImage image, Neighbour each, boolean addends) {
        int symbol = image.symbol(Symbol.undefined("neighbour"), each.s);
        return new Relocation(each.offset, each.type, symbol, addends ? each.a : 0);
    }

    private static Bytes bytesOf(PlacedSection section) {
        return Bytes.wrap(PlacedImage.read(section, section.address(), section.size()));
    }

    /** Enough to do it again by hand. */
    @Override
    public String toString() {
        return "%s %s S=%x A=%x P=%x+%x rest=%x %s%s%s"
                .formatted(
                        architecture.name(),
                        row.name(),
                        s,
                        a,
                        address,
                        offset,
                        rest,
                        HexFormat.of().formatHex(bytes.toByteArray()),
                        before,
                        after);
    }
}
