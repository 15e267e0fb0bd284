/**
 * Module files as bytes: reading and writing {@code .ko}, and what a kernel to load against can be
 * read from.
 */
module io.github.koloader.elf {
    requires transitive io.github.koloader;
    requires com.google.common;
    requires com.github.luben.zstd_jni;
    requires org.apache.commons.compress;
    requires org.bouncycastle.provider;
    requires org.tukaani.xz;
    requires static transitive org.jspecify;

    exports io.github.koloader.elf;
    exports io.github.koloader.elf.kernel;
}
