package io.github.koloader.internal.link;

import io.github.koloader.image.Bytes;
import io.github.koloader.internal.link.ImageScript.Target;

/** A section of an object, or a function that is Java, in an output section. */
final class Piece {
    /** {@link #section} of the code of a Java function. */
    static final int JAVA_CODE = -1;

    /** {@link #section} of the entry of a Java function. */
    static final int JAVA_ENTRY = -2;

    /** {@link #section} of common symbols. */
    static final int COMMON = -3;

    /** Where it goes. */
    final Target target;

    /** Index of the input it comes from; −1 for common symbols. */
    final int input;

    /** Index of the section in its object, or one of the negative numbers. */
    final int section;

    /** Bytes it takes. */
    final long size;

    /** Bytes, a power of two. */
    final long alignment;

    /** Its bytes; fewer than {@link #size} are followed by zeros. */
    final Bytes contents;

    /** Bytes from the start of the output section; known once that is laid out. */
    long offset;

    Piece(Target target, int input, int section, long size, long alignment, Bytes contents) {
        this.target = target;
        this.input = input;
        this.section = section;
        this.size = size;
        this.alignment = alignment;
        this.contents = contents;
    }

    /** Offset of the first byte behind it. */
    long end() {
        return offset + size;
    }
}
