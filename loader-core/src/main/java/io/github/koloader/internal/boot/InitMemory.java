package io.github.koloader.internal.boot;

import io.github.koloader.KernelConfig;
import io.github.koloader.LinkedKernel.Block;
import io.github.koloader.LogLine;
import io.github.koloader.internal.KernelState;
import io.github.koloader.internal.Warnings;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.Region;
import io.github.koloader.memory.Rights;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The kernel's own memory: mapped before boot, with its init part in regions of their own, which
 * are given back at the end of boot.
 *
 * @kernel mm/page_alloc.c, free_reserved_area(); arch/x86/mm/init.c, free_init_pages()
 */
public final class InitMemory {
    private static final byte FREED = (byte) 0xcc;
    private static final int I386 = 3;
    private static final int X86_64 = 62;
    private static final int AARCH64 = 183;

    private InitMemory() {}

    // ---- before boot ----

    /**
     * Maps the kernel's code and data, all writable: they are protected at the end of boot.
     *
     * @throws IllegalArgumentException if blocks overlap, or take more than the memory limit or
     *     than this host has
     */
    public static void map(KernelState kernel) {
        List<Block> blocks = kernel.linked.memory();
        long size = 0;
        for (Block block : blocks) {
            size += block.size();
            if (block.size() > Integer.MAX_VALUE - 8 || size > kernel.memoryLimit) {
                throw new IllegalArgumentException(
                        "a kernel of more than " + kernel.memoryLimit + " bytes");
            }
        }
        Optional<AddressRange> freed = pages(kernel);
        for (Block block : blocks) {
            byte[] bytes = allocate(block);
            block.contents().copyTo(bytes, 0);
            long start = block.start().value();
            int from = freed.map(range -> within(block, range.start())).orElse(0);
            int to = freed.map(range -> within(block, range.end())).orElse(0);
            for (int[] part : new int[][] {{0, from}, {from, to}, {to, bytes.length}}) {
                kernel.memory.map(
                        new Region(
                                new Address(start + part[0]),
                                bytes,
                                part[0],
                                part[1] - part[0],
                                block.rights().executable()
                                        ? Rights.READ_WRITE_EXECUTE
                                        : Rights.READ_WRITE,
                                "kernel",
                                block.name()));
            }
        }
    }

    private static byte[] allocate(Block block) {
        try {
            return new byte[(int) block.size()];
        } catch (OutOfMemoryError e) {
            throw new IllegalArgumentException(
                    "no memory for " + block.size() + " bytes of " + block.name(), e);
        }
    }

    /** The offset of an address in a block, or of the block's end that is nearest to it. */
    private static int within(Block block, Address address) {
        if (address.compareTo(block.start()) <= 0) {
            return 0;
        }
        long offset = address.value() - block.start().value();
        return (int) (Long.compareUnsigned(offset, block.size()) < 0 ? offset : block.size());
    }

    /** The whole pages of the init area. */
    private static Optional<AddressRange> pages(KernelState kernel) {
        long mask = kernel.architecture.pageSize() - 1L;
        return kernel.linked
                .initArea()
                .map(
                        area -> {
                            long start = area.start().value() + mask & ~mask;
                            long end = area.end().value() & ~mask;
                            return Long.compareUnsigned(start, end) < 0
                                    ? AddressRange.between(start, end)
                                    : new AddressRange(area.start(), 0);
                        })
                .filter(range -> range.size() > 0);
    }

    /** Whether a function is gone with the init memory. */
    public static boolean isFreed(KernelState kernel, Address function) {
        return kernel.initMemoryFreed
                && pages(kernel).filter(range -> range.contains(function)).isPresent();
    }

    // ---- after boot ----

    /** Gives init memory back. */
    static void free(KernelState kernel) {
        kernel.initMemoryFreed = true;
        Optional<AddressRange> pages = pages(kernel);
        if (pages.isEmpty()) {
            return;
        }
        reportDecrypted(kernel);
        AddressRange range = pages.get();
        for (Region region : List.copyOf(kernel.memory.regions())) {
            if (range.contains(region.base()) && region.owner().equals("kernel")) {
                byte[] poison = new byte[region.size()];
                Arrays.fill(poison, FREED);
                kernel.memory.protect(region, Rights.READ_WRITE);
                kernel.memory.write(region.base(), poison);
            }
        }
        kernel.log.add(line(kernel, range));
    }

    /**
     * Data that a guest would share with its host, and that this kernel has no use for.
     *
     * @kernel arch/x86/mm/mem_encrypt_amd.c, mem_encrypt_free_decrypted_mem()
     */
    private static void reportDecrypted(KernelState kernel) {
        Optional<Long> start = symbol(kernel, "__start_bss_decrypted_unused");
        Optional<Long> end = symbol(kernel, "__end_bss_decrypted");
        boolean known = start.isPresent() && end.isPresent();
        if (known && kernel.architecture.elfMachine() == X86_64) {
            long kib = end.get() - pageEnd(kernel, start.get()) >> 10;
            if (kib > 0) {
                kernel.log.add(Warnings.decryptedMemoryFreed(kib));
            }
        }
    }

    private static LogLine line(KernelState kernel, AddressRange range) {
        KernelConfig config = kernel.config;
        int machine = kernel.architecture.elfMachine();
        long kib = range.size() >> 10;
        boolean x86 = machine == I386 || machine == X86_64;
        if (!config.atLeast(3, 11)) {
            return x86
                    ? Warnings.initMemoryFreed("%dk freed".formatted(kib))
                    : Warnings.initMemoryFreed(
                            "%dK (%x - %x)"
                                    .formatted(kib, range.start().value(), range.end().value()));
        }
        if (!config.atLeast(4, 10)) {
            int digits = 2 * kernel.architecture.encoding().wordSize();
            String pointer = "%0" + digits + "x";
            return Warnings.initMemoryFreed(
                    ("%dK (" + pointer + " - " + pointer + ")")
                            .formatted(kib, range.start().value(), range.end().value()));
        }
        if (config.atLeast(5, 5) && machine != AARCH64) {
            return Warnings.imageMemoryFreed(" (initmem)", kib);
        }
        return x86 && config.atLeast(4, 19)
                ? Warnings.imageMemoryFreed("", kib)
                : Warnings.initMemoryFreed(kib + "K");
    }

    /**
     * Makes code and constants read-only, unless the command line says not to.
     *
     * @kernel init/main.c, mark_readonly(); arch/x86/mm/init_64.c, mark_rodata_ro()
     */
    static void protect(KernelState kernel, boolean rodata) {
        if (!rodata) {
            kernel.log.add(Warnings.noMemoryProtection());
            return;
        }
        NavigableMap<Address, Block> blocks = new TreeMap<>();
        for (Block block : kernel.linked.memory()) {
            if (block.size() > 0) {
                blocks.put(block.start(), block);
            }
        }
        for (Region region : List.copyOf(kernel.memory.regions())) {
            Map.Entry<Address, Block> block = blocks.floorEntry(region.base());
            if (block != null
                    && block.getValue().range().contains(region.base())
                    && !isFreed(kernel, region.base())) {
                kernel.memory.protect(region, block.getValue().rights());
            }
        }
        switch (kernel.architecture.elfMachine()) {
            case X86_64 -> reportX86(kernel);
            case I386 -> reportI386(kernel);
            default -> {
                // the others say nothing
            }
        }
    }

    private static Optional<Long> symbol(KernelState kernel, String name) {
        return kernel.kernelSymbols.address(name).map(Address::value);
    }

    private static long pageEnd(KernelState kernel, long address) {
        long mask = kernel.architecture.pageSize() - 1L;
        return address + mask & ~mask;
    }

    /** What lies between code, constants and data is given back as well. */
    private static void reportX86(KernelState kernel) {
        Optional<Long> text = symbol(kernel, "_text");
        Optional<Long> textEnd = symbol(kernel, "_etext");
        Optional<Long> start = symbol(kernel, "__start_rodata");
        Optional<Long> end = symbol(kernel, "__end_rodata");
        Optional<Long> wholeEnd = symbol(kernel, "__end_rodata_hpage_align");
        Optional<Long> data = symbol(kernel, "_sdata");
        if (text.isEmpty() || wholeEnd.isEmpty()) {
            return; // which pages these are is not known
        }
        kernel.log.add(
                Warnings.writeProtecting(
                        "the kernel read-only data",
                        wholeEnd.get() - pageEnd(kernel, text.get()) >> 10));
        if (textEnd.isPresent() && start.isPresent()) {
            reportGap(kernel, "text/rodata", textEnd.get(), start.get());
        }
        if (end.isPresent() && data.isPresent()) {
            reportGap(kernel, "rodata/data", end.get(), data.get());
        }
    }

    private static void reportGap(KernelState kernel, String name, long from, long to) {
        long kib = to - pageEnd(kernel, from) >> 10;
        if (kib <= 0) {
            return;
        }
        if (kernel.config.atLeast(5, 5)) {
            kernel.log.add(Warnings.imageMemoryFreed(" (" + name + " gap)", kib));
        } else if (kernel.config.atLeast(4, 19)) {
            kernel.log.add(Warnings.imageMemoryFreed("", kib));
        } else {
            kernel.log.add(
                    Warnings.initMemoryFreed(
                            kib + (kernel.config.atLeast(3, 11) ? "K" : "k freed")));
        }
    }

    /** Without a symbol: the page behind the last constants that lie before any variable. */
    private static Optional<Long> endOfConstants(KernelState kernel) {
        List<Block> blocks = kernel.linked.memory();
        Optional<Address> variables =
                blocks.stream()
                        .filter(block -> block.rights() == Rights.READ_WRITE)
                        .map(Block::start)
                        .min(Comparator.naturalOrder());
        return blocks.stream()
                .filter(block -> !block.rights().writable())
                .filter(
                        block ->
                                variables.isPresent()
                                        && block.start().compareTo(variables.get()) < 0)
                .map(block -> pageEnd(kernel, block.range().end().value()))
                .max(Long::compareUnsigned);
    }

    private static void reportI386(KernelState kernel) {
        Optional<Long> text = symbol(kernel, "_text");
        Optional<Long> end = symbol(kernel, "__end_rodata").or(() -> endOfConstants(kernel));
        if (text.isPresent() && end.isPresent()) {
            kernel.log.add(
                    Warnings.writeProtecting(
                            "kernel text and read-only data",
                            end.get() - pageEnd(kernel, text.get()) >> 10));
        }
    }
}
