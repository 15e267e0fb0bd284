package io.github.koloader.memory;

/** What may be done with a piece of memory. Everything mapped can be read. */
public enum Rights {
    /** Read. */
    READ_ONLY("r--"),
    /** Read and write. */
    READ_WRITE("rw-"),
    /** Read and execute. */
    READ_EXECUTE("r-x"),
    /** Everything: module memory before it is formed, where rights are not enforced. */
    READ_WRITE_EXECUTE("rwx");

    private final String letters;

    Rights(String letters) {
        this.letters = letters;
    }

    /** {@return whether it can be written to} */
    public boolean writable() {
        return this == READ_WRITE || this == READ_WRITE_EXECUTE;
    }

    /** {@return whether it can be executed} */
    public boolean executable() {
        return this == READ_EXECUTE || this == READ_WRITE_EXECUTE;
    }

    /** {@code r--}, {@code rw-}, {@code r-x} or {@code rwx}. */
    @Override
    public String toString() {
        return letters;
    }
}
