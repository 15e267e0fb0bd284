package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import java.io.InputStream;
import java.util.Objects;

/** Reads bytes without a copy of all of them. */
final class BytesStream extends InputStream {
    private final Bytes bytes;
    private int at;

    BytesStream(Bytes bytes) {
        this.bytes = bytes;
    }

    @Override
    public int read() {
        return at == bytes.size() ? -1 : bytes.get(at++) & 0xff;
    }

    @Override
    public int read(byte[] target, int from, int length) {
        Objects.checkFromIndexSize(from, length, target.length);
        int count = Math.min(length, available());
        if (count == 0) {
            return length == 0 ? 0 : -1;
        }
        bytes.slice(at, count).copyTo(target, from);
        at += count;
        return count;
    }

    @Override
    public int available() {
        return bytes.size() - at;
    }
}
