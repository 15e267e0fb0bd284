package io.github.koloader;

import io.github.koloader.arch.TestArchitecture;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ImageBuilder;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;

/** Small x86-64 images and the quiet kernels they are loaded into. */
public final class Images {
    /** {@code EM_X86_64}. */
    public static final int X86_64 = 62;

    /** {@code R_X86_64_64}. */
    public static final int ABS64 = 1;

    /** {@code R_X86_64_PC32}. */
    public static final int PC32 = 2;

    /** {@code R_X86_64_PLT32}. */
    public static final int PLT32 = 4;

    /**
     * What the first taint by a proprietary or forced module says, behind the reason of the taint.
     */
    public static final String LOCK_DEBUGGING = "Disabling lock debugging due to kernel taint";

    /** A clock that stands still. */
    public static final Clock STILL = Clock.fixed(Instant.EPOCH, ZoneOffset.UTC);

    private Images() {}

    /**
     * An export to be.
     *
     * @param name symbol
     * @param gplOnly which table
     * @param namespace empty for none
     * @param crc its CRC
     */
    public record Export(String name, boolean gplOnly, String namespace, int crc) {
        /** An export for everybody. */
        public static Export plain(String name) {
            return new Export(name, false, "", 0x1234);
        }

        /** An export for GPL-compatible modules. */
        public static Export gpl(String name) {
            return new Export(name, true, "", 0x1234);
        }
    }

    // ---- kernels ----

    /** A configuration that says nothing about signatures, vermagic and CRCs. */
    public static KernelConfig quiet(KernelConfig config) {
        return config.toBuilder().moduleSig(false).checkVermagic(false).modversions(false).build();
    }

    /** Linux 6.1, quiet. */
    public static KernelConfig quiet6_1() {
        return quiet(KernelConfig.linux6_1());
    }

    /** Linux 6.12, quiet. */
    public static KernelConfig quiet6_12() {
        return quiet(KernelConfig.linux6_12());
    }

    /** Addresses from {@code start} on. */
    public static AddressRange range(long start, long size) {
        return new AddressRange(new Address(start), size);
    }

    // ---- images ----

    /** A module without anything for the 64-bit little-endian test machine. */
    public static ModuleImage onTest(String name) {
        return new ImageBuilder(TestArchitecture.MACHINE, Encoding.ELF64_LSB, true)
                .name(name)
                .modinfo("license", "GPL")
                .modinfo("intree", "Y")
                .build();
    }

    /** A GPL module from the kernel's tree without sections of its own. */
    public static ImageBuilder module(String name) {
        return bare(name).modinfo("license", "GPL");
    }

    /** As {@link #module}, without a licence. */
    public static ImageBuilder bare(String name) {
        return new ImageBuilder(X86_64, Encoding.ELF64_LSB, true)
                .name(name)
                .modinfo("intree", "Y")
                .modinfo("retpoline", "Y");
    }

    /** Code: {@code size} zero bytes. */
    public static Section text(int size) {
        return code(".text", size);
    }

    /** Code of that name. */
    public static Section code(String name, int size) {
        return Section.progbits(
                name,
                SectionFlags.ALLOC | SectionFlags.EXECINSTR,
                16,
                Bytes.copyOf(new byte[size]));
    }

    /** Writable data of that name. */
    public static Section data(String name, int size) {
        return Section.progbits(
                name, SectionFlags.ALLOC | SectionFlags.WRITE, 8, Bytes.copyOf(new byte[size]));
    }

    /** Read-only data of that name. */
    public static Section rodata(String name, byte... contents) {
        return Section.progbits(name, SectionFlags.ALLOC, 8, Bytes.copyOf(contents));
    }

    /** The smallest module: neither init nor exit. */
    public static ModuleImage empty(String name) {
        return module(name).build();
    }

    /** A module with init, at offset 0 of {@code .init.text}. */
    public static ModuleImage withInit(String name) {
        ImageBuilder builder = module(name);
        return builder.init(builder.section(code(".init.text", 16)), 0, ABS64).build();
    }

    /**
     * A module with init, at offset 0 of {@code .init.text}, and exit, at offset 0 of {@code
     * .exit.text}.
     */
    public static ModuleImage withInitAndExit(String name) {
        ImageBuilder builder = module(name);
        builder.init(builder.section(code(".init.text", 16)), 0, ABS64);
        return builder.exit(builder.section(code(".exit.text", 16)), 0, ABS64).build();
    }

    /** A module that wants these symbols. */
    public static ModuleImage importing(String name, String... symbols) {
        return importing(module(name), symbols).build();
    }

    /** Makes a module want these symbols: a word of {@code .data} for each. */
    public static ImageBuilder importing(ImageBuilder builder, String... symbols) {
        int data = builder.section(data(".data", 8 * symbols.length));
        for (int i = 0; i < symbols.length; i++) {
            builder.relocate(
                    data,
                    new Relocation(8L * i, ABS64, builder.symbol(Symbol.undefined(symbols[i])), 0));
        }
        return builder;
    }

    /**
     * A module that exports these in PREL32 tables with CRCs, and each at 16 times its index in
     * {@code .text}.
     */
    public static ModuleImage exporting(String name, Export... exports) {
        return exporting(module(name), true, exports).build();
    }

    /** A module that exports plain symbols. */
    public static ModuleImage exporting(String name, String... exports) {
        Export[] plain = new Export[exports.length];
        for (int i = 0; i < plain.length; i++) {
            plain[i] = Export.plain(exports[i]);
        }
        return exporting(name, plain);
    }

    /**
     * Makes a module export these in tables of PREL32 entries with three fields, in the order
     * given.
     */
    public static ImageBuilder exporting(ImageBuilder builder, boolean crcs, Export... exports) {
        int text = builder.section(text(16 * Math.max(1, exports.length)));
        ByteArrayOutputStream strings = new ByteArrayOutputStream();
        List<int[]> offsets = new ArrayList<>();
        for (Export export : exports) {
            offsets.add(new int[] {strings.size(), strings.size() + export.name().length() + 1});
            strings.writeBytes(
                    (export.name() + '\0' + export.namespace() + '\0')
                            .getBytes(StandardCharsets.ISO_8859_1));
        }
        int stringSection = builder.section(rodata("__ksymtab_strings", strings.toByteArray()));
        int stringSymbol = builder.symbol(Symbol.section(stringSection));
        for (boolean gpl : new boolean[] {false, true}) {
            List<Integer> ofTable = new ArrayList<>();
            for (int i = 0; i < exports.length; i++) {
                if (exports[i].gplOnly() == gpl) {
                    ofTable.add(i);
                }
            }
            if (ofTable.isEmpty()) {
                continue;
            }
            String suffix = gpl ? "_gpl" : "";
            int table =
                    builder.section(rodata("__ksymtab" + suffix, new byte[12 * ofTable.size()]));
            byte[] crcBytes = new byte[4 * ofTable.size()];
            for (int k = 0; k < ofTable.size(); k++) {
                int i = ofTable.get(k);
                int symbol = builder.symbol(Symbol.function(exports[i].name(), text, 16L * i, 16));
                builder.symbol(Symbol.object("__ksymtab_" + exports[i].name(), table, 12L * k, 0));
                builder.symbol(
                        Symbol.object(
                                "__kstrtabns_" + exports[i].name(),
                                stringSection,
                                offsets.get(i)[1],
                                0));
                builder.relocate(
                        table,
                        new Relocation(12L * k, PC32, symbol, 0),
                        new Relocation(12L * k + 4, PC32, stringSymbol, offsets.get(i)[0]),
                        new Relocation(12L * k + 8, PC32, stringSymbol, offsets.get(i)[1]));
                for (int b = 0; b < 4; b++) {
                    crcBytes[4 * k + b] = (byte) (exports[i].crc() >>> 8 * b);
                }
            }
            if (crcs) {
                int crcTable = builder.section(rodata("__kcrctab" + suffix, crcBytes));
                for (int k = 0; k < ofTable.size(); k++) {
                    builder.symbol(
                            Symbol.object(
                                    "__crc_" + exports[ofTable.get(k)].name(),
                                    crcTable,
                                    4L * k,
                                    4));
                }
            }
        }
        return builder;
    }

    // ---- named edits of an image ----

    /** The same image with another section in the place of the one of that index. */
    public static ModuleImage withSection(ModuleImage image, int index, Section section) {
        ModuleImage.Builder builder =
                ModuleImage.builder(image.machine(), image.encoding())
                        .flags(image.flags())
                        .fileSize(image.fileSize());
        for (int i = 1; i < image.sections().size(); i++) {
            builder.section(i == index ? section : image.section(i));
        }
        return builder.build();
    }

    /** The same image with another name in {@code struct module}, of any length. */
    public static ModuleImage withStructureName(ModuleImage image, String name) {
        int index = image.sectionIndex(ModuleImage.THIS_MODULE);
        byte[] contents = image.section(index).contents().toByteArray();
        byte[] field = (name + "\0").getBytes(StandardCharsets.ISO_8859_1);
        System.arraycopy(field, 0, contents, 24, field.length);
        return withSection(image, index, image.section(index).withContents(Bytes.copyOf(contents)));
    }

    /** The same image with another name for its section {@code name}. */
    public static ModuleImage withRenamed(ModuleImage image, String name, String newName) {
        int index = image.sectionIndex(name);
        Section old = image.section(index);
        return withSection(
                image,
                index,
                new Section(
                        newName,
                        old.type(),
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        old.link(),
                        old.info(),
                        old.entrySize(),
                        old.contents()));
    }

    /** The same image with another type, of the same contents, for its section {@code name}. */
    public static ModuleImage withType(ModuleImage image, String name, SectionType type) {
        int index = image.sectionIndex(name);
        Section old = image.section(index);
        return withSection(
                image,
                index,
                new Section(
                        old.name(),
                        type,
                        old.flags(),
                        old.offset(),
                        old.size(),
                        old.alignment(),
                        old.link(),
                        old.info(),
                        old.entrySize(),
                        old.contents()));
    }
}
