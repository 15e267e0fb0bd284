package io.github.koloader.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbols;
import io.github.koloader.image.SymbolTable;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Finds the export of a name: the kernel's, else that of the module loaded last. A hash table over
 * the bytes of names, so that resolving a module's symbols makes no strings; what the {@link
 * KernelSymbols} answer is kept.
 *
 * @kernel kernel/module/main.c, find_symbol()
 */
public final class ExportIndex {
    /** One export. */
    public static final class Export {
        final byte[] name;
        final int hash;

        /** The module that exports it; {@code null} for the kernel. */
        public final @Nullable LoadedModule owner;

        /** Its value. */
        public final long address;

        /** Whether only GPL-compatible modules may use it. */
        public final boolean gplOnly;

        /** Whether others are told that they will not be able to use it for long. */
        public final boolean gplFuture;

        /** Its namespace, empty for none. */
        public final String namespace;

        /** Whether {@link #crc} is known. */
        public final boolean hasCrc;

        /** Its CRC. */
        public final int crc;

        private final boolean exists;
        private @Nullable Export next;

        private Export(
                byte[] name,
                @Nullable LoadedModule owner,
                long address,
                boolean gplOnly,
                boolean gplFuture,
                String namespace,
                boolean hasCrc,
                int crc,
                boolean exists) {
            this.name = name;
            this.hash = hashOf(name);
            this.owner = owner;
            this.address = address;
            this.gplOnly = gplOnly;
            this.gplFuture = gplFuture;
            this.namespace = namespace;
            this.hasCrc = hasCrc;
            this.crc = crc;
            this.exists = exists;
        }

        /** An export of a module. */
        public static Export ofModule(
                byte[] name,
                LoadedModule owner,
                long address,
                boolean gplOnly,
                boolean gplFuture,
                String namespace,
                boolean hasCrc,
                int crc) {
            return new Export(
                    name, owner, address, gplOnly, gplFuture, namespace, hasCrc, crc, true);
        }

        private static Export ofKernel(String name, Optional<ExportedSymbol> symbol) {
            byte[] bytes = name.getBytes(ISO_8859_1);
            return symbol.map(
                            found ->
                                    new Export(
                                            bytes,
                                            null,
                                            found.address().value(),
                                            found.gplOnly(),
                                            false,
                                            found.namespace(),
                                            found.crc().isPresent(),
                                            found.crc().orElse(0),
                                            true))
                    .orElseGet(() -> new Export(bytes, null, 0, false, false, "", false, 0, false));
        }

        /** The bytes of its name, which nobody changes. */
        public byte[] nameBytes() {
            return name;
        }

        /** Its name. */
        public String name() {
            return new String(name, ISO_8859_1);
        }
    }

    private final KernelSymbols kernel;
    private @Nullable Export[] buckets = new Export[1 << 10];
    private int count;

    /** An index that knows only what the kernel exports. */
    public ExportIndex(KernelSymbols kernel) {
        this.kernel = kernel;
    }

    private static int hashOf(byte[] name) {
        int hash = Words.HASH_START;
        for (byte next : name) {
            hash = Words.hash(hash, next);
        }
        return hash;
    }

    private int bucket(int hash) {
        return (hash ^ hash >>> 15) & buckets.length - 1;
    }

    /**
     * The export that a symbol of a module refers to.
     *
     * @param symbols the module's symbols
     * @param index the symbol
     * @param hash its {@link SymbolTable#nameHash}
     * @param gplAllowed whether GPL-only exports are seen
     * @return {@code null} if there is none
     */
    public @Nullable Export find(SymbolTable symbols, int index, int hash, boolean gplAllowed) {
        Export best = null;
        boolean asked = false;
        for (Export export = buckets[bucket(hash)]; export != null; export = export.next) {
            if (export.hash == hash && symbols.isNamed(index, export.name)) {
                if (export.owner == null) {
                    asked = true;
                    if (visible(export, gplAllowed)) {
                        return export;
                    }
                } else if (best == null && visible(export, gplAllowed)) {
                    best = export;
                }
            }
        }
        if (!asked && best == null) { // what a module exports, the kernel does not: that is refused
            Export export = ask(symbols.name(index));
            if (visible(export, gplAllowed)) {
                return export;
            }
        }
        return best;
    }

    /** The module that exports a name according to the kernel's build, loaded or not. */
    public Optional<String> exporterOf(String name) {
        return kernel.exporterOf(name);
    }

    /** Up to three exports with names that look like this one. */
    public List<String> similarTo(String name) {
        SimilarNames similar = new SimilarNames(name);
        for (Export bucket : buckets) {
            for (Export export = bucket; export != null; export = export.next) {
                if (export.owner != null && export.name.length <= SimilarNames.LONGEST) {
                    similar.consider(export.name());
                }
            }
        }
        kernel.names().limit(SimilarNames.CONSIDERED).forEach(similar::consider);
        return similar.best();
    }

    /** The export of that name that a GPL-compatible module sees, or {@code null}. */
    public @Nullable Export find(String name) {
        return find(name.getBytes(ISO_8859_1));
    }

    /** The export of that name that a GPL-compatible module sees, or {@code null}. */
    public @Nullable Export find(byte[] name) {
        int hash = hashOf(name);
        Export best = null;
        boolean asked = false;
        for (Export export = buckets[bucket(hash)]; export != null; export = export.next) {
            if (export.hash == hash && java.util.Arrays.equals(export.name, name)) {
                if (export.owner == null) {
                    asked = true;
                    if (export.exists) {
                        return export;
                    }
                } else if (best == null) {
                    best = export;
                }
            }
        }
        if (!asked) {
            Export export = ask(new String(name, ISO_8859_1));
            if (export.exists) {
                return export;
            }
        }
        return best;
    }

    private static boolean visible(Export export, boolean gplAllowed) {
        return export.exists && (gplAllowed || !export.gplOnly);
    }

    private Export ask(String name) {
        Export export = Export.ofKernel(name, kernel.find(name));
        if (export.exists) {
            insert(export);
        }
        return export;
    }

    /**
     * Adds a module's exports, which a search finds in that order, before those of modules loaded
     * earlier.
     */
    public void addAll(List<Export> exports) {
        for (int i = exports.size() - 1; i >= 0; i--) {
            insert(exports.get(i));
        }
    }

    private void insert(Export export) {
        if (count >= buckets.length) {
            grow();
        }
        int bucket = bucket(export.hash);
        export.next = buckets[bucket];
        buckets[bucket] = export;
        count++;
    }

    /** Doubles the table; chains keep their order. */
    private void grow() {
        @Nullable Export[] old = buckets;
        buckets = new Export[old.length * 2];
        for (Export chain : old) {
            Export reversed = null;
            for (Export export = chain; export != null; ) {
                Export next = export.next;
                export.next = reversed;
                reversed = export;
                export = next;
            }
            for (Export export = reversed; export != null; ) {
                Export next = export.next;
                int bucket = bucket(export.hash);
                export.next = buckets[bucket];
                buckets[bucket] = export;
                export = next;
            }
        }
    }

    /** Takes a module's exports away. */
    public void removeAll(List<Export> exports) {
        for (Export export : exports) {
            int bucket = bucket(export.hash);
            Export before = null;
            for (Export at = buckets[bucket]; at != null; at = at.next) {
                if (at == export) {
                    if (before == null) {
                        buckets[bucket] = at.next;
                    } else {
                        before.next = at.next;
                    }
                    count--;
                    break;
                }
                before = at;
            }
        }
    }
}
