package io.github.koloader.arch;

import io.github.koloader.KernelConfig;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.AddressRange;
import java.util.List;

/** A machine that there is not, in any encoding, with REL and RELA and absolute exports. */
public final class TestArchitecture implements Architecture {
    /** Its {@code e_machine}. */
    public static final int MACHINE = 0x7e57;

    /** Nothing. */
    public static final int NONE = 0;

    /** A 32-bit word. */
    public static final int WORD32 = 1;

    /** A 64-bit word. */
    public static final int WORD64 = 2;

    /** A signed 16-bit distance. */
    public static final int PC16 = 3;

    /** A 32-bit word onto zero. */
    public static final int ZERO32 = 4;

    /** A byte. */
    public static final int BYTE = 5;

    private final Encoding encoding;
    private final ExceptionTable exceptionTable;

    /** The machine with that word size and byte order, and addresses in its exception tables. */
    public TestArchitecture(Encoding encoding) {
        this(encoding, encoding.wide() ? ExceptionTable.ABSOLUTE64 : ExceptionTable.ABSOLUTE32);
    }

    /** The machine with that word size and byte order, and that form of exception tables. */
    public TestArchitecture(Encoding encoding, ExceptionTable exceptionTable) {
        this.encoding = encoding;
        this.exceptionTable = exceptionTable;
    }

    /** The relocation type of a word. */
    public int word() {
        return encoding.wide() ? WORD64 : WORD32;
    }

    @Override
    public String name() {
        return "test";
    }

    @Override
    public int elfMachine() {
        return MACHINE;
    }

    @Override
    public Encoding encoding() {
        return encoding;
    }

    @Override
    public List<AddressRange> moduleAreas(KernelConfig config) {
        return List.of(AddressRange.between(0xc000_0000L, 0xd000_0000L));
    }

    @Override
    public AddressRange imageArea() {
        return AddressRange.between(0xd000_0000L, 0xe000_0000L);
    }

    @Override
    public AddressRange kernelText() {
        return AddressRange.between(0x8000_0000L, 0x9000_0000L);
    }

    @Override
    public AddressRange perCpuArea() {
        return AddressRange.between(0x1000, 0x3000);
    }

    @Override
    public long perCpuOffset(int cpu) {
        return 0x9000_0000L + cpu * 0x10000L;
    }

    @Override
    public RelocationTypes relocationTypes() {
        return RelocationTypes.of(
                new RelocationType(NONE, "NONE", Formula.NONE, DataField.NONE),
                new RelocationType(WORD32, "WORD32", Formula.ABSOLUTE, DataField.word(32)),
                new RelocationType(WORD64, "WORD64", Formula.ABSOLUTE, DataField.word(64)),
                new RelocationType(PC16, "PC16", Formula.PC_RELATIVE, DataField.signed(16)),
                new RelocationType(
                        ZERO32, "ZERO32", Formula.ABSOLUTE, DataField.word(32).overZero()),
                new RelocationType(BYTE, "BYTE", Formula.ABSOLUTE, DataField.unsigned(8)));
    }

    @Override
    public boolean acceptsRelocations(boolean withAddends) {
        return true;
    }

    @Override
    public boolean relativeExports(KernelConfig config) {
        return false;
    }

    @Override
    public ExceptionTable exceptionTable(KernelConfig config) {
        return exceptionTable;
    }
}
