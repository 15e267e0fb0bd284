package io.github.koloader.elf.internal;

import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import java.util.List;

/**
 * What an entry of {@code __ksymtab} looks like: value, name and, since 5.4, namespace, as words or
 * as distances.
 *
 * @param kind how the fields point
 * @param fields how many there are: 2 or 3
 * @kernel include/linux/export-internal.h; include/linux/export.h, struct kernel_symbol
 */
record ExportEntryForm(EntryKind kind, int fields) {
    static final List<ExportEntryForm> ALL =
            List.of(
                    new ExportEntryForm(EntryKind.RELATIVE, 3),
                    new ExportEntryForm(EntryKind.ABSOLUTE, 3),
                    new ExportEntryForm(EntryKind.RELATIVE, 2),
                    new ExportEntryForm(EntryKind.ABSOLUTE, 2));

    int size(Encoding encoding) {
        return fields * kind.size(encoding);
    }

    /** What a field leads to; 0 if it leads nowhere. */
    long field(int number, Bytes bytes, int entry, long address, Encoding encoding) {
        int offset = number * kind.size(encoding);
        long target = kind.target(bytes, entry + offset, address + offset, encoding);
        return kind.isNull(target, address + offset) ? 0 : target;
    }
}
