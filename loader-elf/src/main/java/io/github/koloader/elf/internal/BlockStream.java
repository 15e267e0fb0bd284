package io.github.koloader.elf.internal;

import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;

/** Bytes that come in blocks, each unpacked when the one before is used up. */
abstract class BlockStream extends InputStream {
    private byte[] block = new byte[0];
    private int at;
    private boolean ended;

    /** The next block, not empty; an empty one where there is none. */
    abstract byte[] next() throws IOException;

    private boolean advance() throws IOException {
        if (at == block.length && !ended) {
            block = next();
            at = 0;
            ended = block.length == 0;
        }
        return !ended;
    }

    @Override
    public int read() throws IOException {
        return advance() ? block[at++] & 0xff : -1;
    }

    @Override
    public int read(byte[] target, int from, int length) throws IOException {
        Objects.checkFromIndexSize(from, length, target.length);
        if (length == 0) {
            return 0;
        }
        if (!advance()) {
            return -1;
        }
        int count = Math.min(length, block.length - at);
        System.arraycopy(block, at, target, from, count);
        at += count;
        return count;
    }
}
