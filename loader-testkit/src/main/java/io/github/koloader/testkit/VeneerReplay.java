package io.github.koloader.testkit;

import static io.github.koloader.image.SectionFlags.ALLOC;
import static io.github.koloader.image.SectionFlags.EXECINSTR;
import static java.util.Objects.requireNonNull;

import com.google.gson.JsonObject;
import io.github.koloader.KernelConfig;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.PlacedSection;
import io.github.koloader.image.Relocation;
import io.github.koloader.image.Symbol;
import io.github.koloader.memory.Address;
import io.github.koloader.testkit.PlacedImage.Placed;
import io.github.koloader.testkit.Recording.Line;
import java.util.HexFormat;
import java.util.List;

/**
 * Has the loader make a veneer at its address, by a branch that needs it, and compares its bytes;
 * or compares what became of the branch.
 */
final class VeneerReplay {
    private static final int R_AARCH64_ADR_PREL_PG_HI21 = 275;
    private static final int S390_PLT_ENTRY = 22;
    private static final int S390_UNWRITTEN = 12;
    private static final String TEXT = ".text";
    private static final String MORE = ".text.more";

    private final Architecture architecture;
    private final JsonObject json;
    private final String kind;
    private final VeneerForms forms;
    private final int length;

    private VeneerReplay(Architecture architecture, JsonObject json) {
        this.architecture = architecture;
        this.json = json;
        this.kind = json.get("kind").getAsString();
        this.forms = VeneerForms.of(architecture, kind.endsWith("thumb2"));
        this.length = json.get("bytes_hex").getAsString().length() / 2;
    }

    static void run(Line line, List<Difference> differences) {
        String kind = line.text("kind", "?");
        String name = line.text("arch", "?");
        String subject = "line %d: %s %s".formatted(line.number(), name, kind);
        Architecture architecture = Architectures.named(name).orElse(null);
        if (architecture == null) {
            differences.add(new Difference(subject, "architecture", name, "not modelled", ""));
            return;
        }
        String expected = line.text("bytes_hex", "?");
        String found;
        try {
            found = HexFormat.of().formatHex(new VeneerReplay(architecture, line.json()).bytes());
        } catch (LoadException e) {
            found = e.errno().name() + e.lines().stream().map(LogLine::text).toList();
        }
        if (!found.equals(expected)) {
            differences.add(new Difference(subject, "bytes", expected, found, ""));
        }
    }

    private byte[] bytes() {
        return switch (kind) {
            case "plt_entry", "plt_group_arm", "plt_group_thumb2", "stub", "ftrace_stub" ->
                    veneer();
            case "plt_entry_plain", "plt_entry_expoline" -> entryBeforeSections();
            case "adrp_veneer", "adrp_replaced_by_branch", "adrp_to_adr" -> adrp();
            case "branch_nolink" -> branch(0, 0);
            case "text_gen_call" -> branch(1, 0xe8);
            case "text_gen_jmp32" -> branch(1, 0xe9);
            case "toc_restore" -> wordBehindCall();
            default -> throw new IllegalStateException("no veneer of kind " + kind);
        };
    }

    // ---- veneers in sections of their own ----

    private byte[] veneer() {
        String section = requireNonNull(forms.pltSection());
        long entry = json.has("entry") ? address("entry") : place(0) + 0x1000;
        long target = json.has("target") ? address("target") : entry + (1L << 40);
        long place = place(entry, target);
        PlacedImage image = image(place);
        image.place(section, entry);
        if (json.has("got_plt")) {
            image.place(".got.plt", address("got_plt"));
        }
        if (json.has("TOC")) {
            image.place(".toc", address("TOC") - 0x8000);
        }
        String name = kind.equals("ftrace_stub") ? "ftrace_caller" : "target";
        int symbol = image.symbol(Symbol.undefined(name), target);
        image.relocation(1, new Relocation(0, forms.branchType(), symbol, forms.addend()));
        PlacedSection veneers = image.plan().place().relocate().section(section);
        return PlacedImage.read(veneers, entry, length);
    }

    /** A place from where the entry can be reached and the target cannot. */
    private long place(long entry, long target) {
        long step = forms.bias() + 8;
        for (long place :
                new long[] {
                    entry - 0x10000,
                    target - forms.reach() - forms.bias(),
                    target + forms.reach() + step
                }) {
            boolean near = Math.abs(entry - place) <= forms.reach() - 16;
            boolean far =
                    target - place >= forms.reach() + forms.bias()
                            || place - target >= forms.reach() + step;
            if (near && (far || ".stubs".equals(forms.pltSection()))) {
                return place;
            }
        }
        throw new IllegalStateException("no place from where a branch needs " + json);
    }

    private long place(long otherwise) {
        return json.has("place") ? address("place") : architectureBase() + otherwise;
    }

    private long architectureBase() {
        return architecture.moduleAreas(KernelConfig.linux6_1()).get(0).start().value();
    }

    /** An image whose section 1 is code with a branch at its start. */
    private PlacedImage image(long place) {
        PlacedImage image =
                new PlacedImage(architecture, config(), architecture.acceptsRelocations(true));
        byte[] branch = HexFormat.of().parseHex(forms.branchBytes());
        image.section(TEXT, ALLOC | EXECINSTR, place, branch);
        return image.withLoaderSections();
    }

    private KernelConfig config() {
        long stride = json.has("stride") ? json.get("stride").getAsLong() : 64;
        KernelConfig.Builder config = KernelConfig.linux6_1().toBuilder();
        if (kind.equals("ftrace_stub")) {
            config.kernelAddress("kernel_toc", new Address(address("kernel_toc")));
            config.kernelAddress("paca.kernel_toc", new Address(address("paca_kernel_toc_offset")));
        }
        return config.kconfig("CONFIG_THUMB2_KERNEL", kind.endsWith("thumb2"))
                .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_6", stride == 64)
                .kconfig("CONFIG_ARM_L1_CACHE_SHIFT_7", stride == 128)
                .kconfig("CONFIG_EXPOLINE", kind.endsWith("expoline"))
                .kconfig("CONFIG_DYNAMIC_FTRACE", kind.equals("ftrace_stub"))
                .cpuCapability("ARM64_WORKAROUND_843419", kind.startsWith("adrp"))
                .build();
    }

    // ---- veneers before the first section: s390 ----

    /** With the thunk at the end, behind as many entries as its address says. */
    private byte[] entryBeforeSections() {
        long entry = address("entry");
        PlacedImage image = image(entry + 0x10000);
        image.placePrefix(entry);
        int symbol = image.symbol(Symbol.undefined("target"), address("target"));
        image.relocation(1, new Relocation(0, forms.branchType(), symbol, forms.addend()));
        long entries = json.has("thunk") ? (address("thunk") - entry) / S390_PLT_ENTRY : 1;
        int more =
                image.section(
                        MORE, ALLOC | EXECINSTR, entry + 0x20000, new byte[4 * (int) entries]);
        for (int i = 1; i < entries; i++) {
            int other = image.symbol(Symbol.undefined("other_" + i), address("target"));
            image.relocation(
                    more, new Relocation(4L * i, forms.branchType(), other, forms.addend()));
        }
        PlacedSection prefix = image.plan().place().relocate().prefix();
        byte[] bytes = PlacedImage.read(prefix, entry, S390_PLT_ENTRY);
        if (length < S390_PLT_ENTRY) { // without the two that the kernel never writes
            byte[] written = new byte[length];
            System.arraycopy(bytes, 0, written, 0, S390_UNWRITTEN);
            System.arraycopy(
                    bytes, S390_UNWRITTEN + 2, written, S390_UNWRITTEN, length - S390_UNWRITTEN);
            return written;
        }
        return bytes;
    }

    // ---- arm64's erratum ----

    /** An ADRP at a place where it must not be; its page is far unless the record has it. */
    private byte[] adrp() {
        long place = address(json.has("place") ? "place" : "adrp_at");
        long start = place & -0x1000;
        byte[] code = new byte[(int) (place - start) + 4];
        long rd = json.has("rd") ? address("rd") : 0;
        Words.write(code, (int) (place - start), 4, 0x90000000L | rd, false);
        PlacedImage image = new PlacedImage(architecture, config(), true);
        int section = image.section(TEXT, ALLOC | EXECINSTR, start, code);
        image.withLoaderSections();
        String veneer = json.has("entry") ? "entry" : "veneer";
        if (json.has(veneer)) {
            image.place(".plt", address(veneer));
        }
        long page = json.has("page") ? address("page") : start + (1L << 30);
        int symbol = image.symbol(Symbol.undefined("target"), page);
        image.relocation(
                section, new Relocation(place - start, R_AARCH64_ADR_PREL_PG_HI21, symbol, 0));
        Placed placed = image.plan().place().relocate();
        return kind.equals("adrp_veneer")
                ? PlacedImage.read(placed.section(".plt"), address("entry"), length)
                : PlacedImage.read(placed.section(TEXT), place, length);
    }

    // ---- branches without veneers ----

    /** A branch, with an opcode of so many bytes before its field. */
    private byte[] branch(int opcodeSize, int opcode) {
        long place = address("place");
        byte[] field = HexFormat.of().parseHex(forms.branchBytes());
        byte[] code = new byte[opcodeSize + field.length];
        System.arraycopy(field, 0, code, opcodeSize, field.length);
        if (opcodeSize > 0) {
            code[0] = (byte) opcode;
        }
        PlacedImage image = new PlacedImage(architecture, config(), true);
        int section = image.section(TEXT, ALLOC | EXECINSTR, place, code);
        image.withLoaderSections();
        int symbol = image.symbol(Symbol.undefined("target"), address("target"));
        image.relocation(
                section, new Relocation(opcodeSize, forms.branchType(), symbol, forms.addend()));
        Placed placed = image.plan().place().relocate();
        return PlacedImage.read(placed.section(TEXT), place, length);
    }

    /** ppc64: what the NOP behind a call out of the module becomes. */
    private byte[] wordBehindCall() {
        long place = architectureBase();
        PlacedImage image = image(place);
        int symbol = image.symbol(Symbol.undefined("target"), place + (1L << 40));
        image.relocation(1, new Relocation(0, forms.branchType(), symbol, 0));
        Placed placed = image.plan().place().relocate();
        return PlacedImage.read(placed.section(TEXT), place + 4, length);
    }

    private long address(String field) {
        return Address.parse(json.get(field).getAsString()).value();
    }
}
