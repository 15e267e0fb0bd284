package io.github.koloader.internal.params;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.internal.Words;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Text that is parsed in place, as the kernel does: a word ends where a NUL is written over the
 * character behind it. It is mapped only when code of a module is to see it, and then shares its
 * bytes with that memory.
 */
final class TextBuffer {
    /** The bytes; the last one is a NUL. */
    final byte[] bytes;

    private ParameterHeap.@Nullable Block block;

    private TextBuffer(byte[] bytes) {
        this.bytes = bytes;
    }

    /** A buffer with that text up to its first NUL, one byte a character. */
    static TextBuffer of(String text) {
        int nul = text.indexOf(0);
        byte[] bytes = (nul < 0 ? text : text.substring(0, nul)).getBytes(ISO_8859_1);
        return new TextBuffer(Arrays.copyOf(bytes, bytes.length + 1));
    }

    /** Index of the NUL that ends the text at {@code at}. */
    int end(int at) {
        return Words.indexOfZero(bytes, at, bytes.length - 1);
    }

    /** The text from {@code at} to its NUL. */
    String text(int at) {
        return new String(bytes, at, end(at) - at, ISO_8859_1);
    }

    /** The text at {@code at}, or {@code null} if that is negative. */
    @Nullable String textOrNull(int at) {
        return at < 0 ? null : text(at);
    }

    /**
     * Address of the byte of that index, in memory that the buffer takes at the first call.
     *
     * @return 0 if there is no memory
     */
    long address(ParameterHeap heap, int at) {
        if (block == null) {
            block = heap.map(bytes, false);
        }
        return block == null ? 0 : block.address() + at;
    }

    /** Gives the memory back, if it took any. */
    void unmap(ParameterHeap heap) {
        if (block != null) {
            heap.free(block);
            block = null;
        }
    }
}
