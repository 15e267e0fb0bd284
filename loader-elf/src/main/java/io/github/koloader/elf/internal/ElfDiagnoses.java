package io.github.koloader.elf.internal;

import static io.github.koloader.Diagnosis.quote;
import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.Diagnosis;
import io.github.koloader.LoadException;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What people are told about each of the {@link ElfFailures}: ours, the kernel says nothing of it.
 */
final class ElfDiagnoses {
    private static final String DAMAGED =
            "Take the file anew from where it was built or downloaded: it is damaged, or a tool has"
                    + " changed it.";
    private static final String COPY_AGAIN =
            "Copy or download the file again, and compare its size and checksum with the original.";

    private ElfDiagnoses() {}

    private static Diagnosis of(String cause, String location, String advice) {
        return new Diagnosis(cause, location, advice);
    }

    private static String hex(long value) {
        return "0x" + Long.toHexString(value);
    }

    private static String type(int type) {
        return "type " + Integer.toUnsignedString(type);
    }

    // ---- the whole file ----

    static Diagnosis noMemory(long size) {
        return of(
                "There is no memory for a copy of the file of " + size + " bytes.",
                "",
                "Free memory, or give the process more of it (for this program: -Xmx).");
    }

    static Diagnosis headerTooShort(Bytes file) {
        return file.isEmpty()
                ? empty()
                : of(
                        "The file has "
                                + file.size()
                                + " bytes, fewer than the header of a module: it was cut, or never"
                                + " was one"
                                + (guess(file).isEmpty() ? "." : ". " + guess(file)),
                        "the end of the file, offset " + hex(file.size()),
                        COPY_AGAIN);
    }

    static Diagnosis wrongMagic(Bytes file) {
        String packing = packing(file);
        if (!packing.isEmpty()) {
            return of(
                    "The file is compressed with "
                            + packing
                            + "; init_module(2) takes only what is"
                            + " unpacked.",
                    "file offset 0x0",
                    "Unpack it (`"
                            + packing
                            + " -d`), or load it with `modprobe` or a current `insmod`, which do"
                            + " that, or with finit_module(2) and MODULE_INIT_COMPRESSED_FILE.");
        }
        String guess = guess(file);
        return of(
                "The file is no ELF file" + (guess.isEmpty() ? "." : ". " + guess),
                "file offset 0x0",
                "Give the path of a `.ko` file; if this is one, " + lower(COPY_AGAIN));
    }

    private static String lower(String sentence) {
        return sentence.substring(0, 1).toLowerCase(Locale.ROOT) + sentence.substring(1);
    }

    private static String packing(Bytes file) {
        if (starts(file, "\u001f\u008b")) {
            return "gzip";
        }
        if (starts(file, "\u00fd7zXZ\0")) {
            return "xz";
        }
        if (starts(file, "\u0028\u00b5\u002f\u00fd")) {
            return "zstd";
        }
        return starts(file, "BZh") ? "bzip2" : "";
    }

    private static boolean starts(Bytes file, String beginning) {
        return file.matches(0, beginning.getBytes(ISO_8859_1));
    }

    /** What a file that is no module looks like, as a sentence. */
    private static String guess(Bytes file) {
        if (starts(file, "version https://git-lfs")) {
            return "It is a pointer of Git LFS: fetch the content with `git lfs pull`.";
        }
        if (starts(file, "<")) {
            return "It looks like HTML or XML: a download that brought an error page.";
        }
        if (starts(file, "!<arch>\n")) {
            return "It is an archive, such as a Debian package: take the module out of it.";
        }
        if (starts(file, "\u00ed\u00ab\u00ee\u00db")) {
            return "It is an RPM package: take the module out of it.";
        }
        if (starts(file, "MZ")) {
            return "It is a program for Windows, or a kernel image.";
        }
        if (starts(file, "#!")) {
            return "It is a script.";
        }
        if (starts(file, "\0\0\0\0")) {
            return "It begins with zeros, as after a crash of the machine while it was written.";
        }
        return "";
    }

    static Diagnosis wrongType(int type) {
        String what =
                switch (type) {
                    case 2 -> "an executable program";
                    case 3 -> "a shared library or a position-independent program";
                    case 4 -> "a core dump";
                    default -> "an ELF file of type " + type;
                };
        return of(
                "The file is " + what + ", no relocatable object, which a module is.",
                "ELF header, e_type at file offset 0x10",
                "Give the path of the `.ko` file that the kernel's build system makes (`ld -r`).");
    }

    static Diagnosis wrongMachine(int machine, @Nullable Architecture expected) {
        String given = Architectures.machineName(machine);
        String own = expected == null ? "" : Architectures.machineName(expected.elfMachine());
        return of(
                given.equals(own)
                        ? "The file is for another kind of "
                                + own
                                + " than this kernel: word size, byte order or ABI flags differ."
                        : "The file is for " + given + ", this kernel is for " + own + ".",
                "ELF header, e_machine at file offset 0x12",
                "Take the module from the package for this kernel's architecture, or build it with"
                        + " its compiler (ARCH= and CROSS_COMPILE=).");
    }

    static Diagnosis unknownClass(int elfClass, int data) {
        return of(
                "The header names a word size ("
                        + elfClass
                        + ") and a byte order ("
                        + data
                        + ") that there are not, and a machine that is not known.",
                "ELF header, file offset 0x4",
                DAMAGED);
    }

    static Diagnosis wrongSectionHeaderSize() {
        return of(
                "Section headers have another size than this kernel's: the file is for another word"
                        + " size, such as 32 bits on a kernel of 64, or damaged.",
                "ELF header, e_shentsize",
                "Build the module for this kernel's word size.");
    }

    // ---- truncated ----

    /** How many bytes a file lacks, as a sentence; empty if that cannot be the reason. */
    private static String missing(long end, long size) {
        return end > size && end - size < 1L << 40
                ? " At least " + (end - size) + " bytes are missing at the end of the file."
                : "";
    }

    static Diagnosis sectionHeadersBeyondEnd(long headers, long end, long size) {
        return of(
                "The section headers are said to be at offset "
                        + hex(headers)
                        + " of a file of "
                        + size
                        + " bytes: it was cut, or its header is damaged."
                        + missing(end, size),
                "ELF header, e_shoff and e_shnum",
                COPY_AGAIN);
    }

    static Diagnosis sectionBeyondEnd(int index, int type, long offset, long length, long size) {
        return of(
                "The section is said to have "
                        + Long.toUnsignedString(length)
                        + " bytes at offset "
                        + hex(offset)
                        + " of a file of "
                        + size
                        + " bytes: it was cut, or the section's header is damaged."
                        + (offset < 0 || length < 0 || offset + length < 0
                                ? ""
                                : missing(offset + length, size)),
                "header of section " + index + ", " + type(type),
                COPY_AGAIN);
    }

    // ---- names and strings ----

    static Diagnosis wrongNameIndex(int index, int count) {
        return of(
                count == 0
                        ? "The file has no sections, or more than 65,279, which no kernel takes."
                        : "Section "
                                + index
                                + " is to hold the names of sections, of which there are "
                                + count
                                + ".",
                "ELF header, e_shstrndx and e_shnum",
                DAMAGED);
    }

    static Diagnosis names(String what) {
        return of(what, "the section that e_shstrndx names, `.shstrtab`", DAMAGED);
    }

    static Diagnosis strings(String what) {
        return of(what, "the section of the symbols' names, `.strtab`", DAMAGED);
    }

    static Diagnosis section(String what, String where) {
        return of(what, where, DAMAGED);
    }

    static Diagnosis noSymbols(String name) {
        return of(
                quote(name) + " has no symbol table, or several: it was stripped of it.",
                "sections of type SHT_SYMTAB",
                "Install the module anew; a module may be stripped with `strip --strip-debug` only.");
    }

    static Diagnosis thisModule(String name, String what) {
        return of(
                quote(name) + what,
                "section `.gnu.linkonce.this_module`",
                "Load the `.ko` that the kernel's build makes, not one of the `.o` files or several"
                        + " modules linked together.");
    }

    static Diagnosis thisModuleSize(String name) {
        return of(
                "The structure of "
                        + quote(name)
                        + " has another size than this kernel's: it was built for a kernel with other"
                        + " options.",
                "section `.gnu.linkonce.this_module`",
                "Build the module for this kernel: with DKMS `dkms autoinstall`, by hand `make -C"
                        + " /lib/modules/$(uname -r)/build M=$PWD`.");
    }

    static Diagnosis severalModinfo() {
        return of(
                "The file has more than one section `.modinfo`, or none that counts.",
                "sections `.modinfo`",
                "Link the module with the kernel's build system, which joins them.");
    }

    static Diagnosis extendedVersions(String what) {
        return of(
                what,
                "sections `__version_ext_crcs` and `__version_ext_names`",
                "Build the module with this kernel's own modpost.");
    }

    static Diagnosis unnamed(LoadException failure) {
        Diagnosis named = failure.diagnosis();
        return of(
                named.cause() + " This kernel says nothing of it.",
                named.location(),
                named.advice());
    }

    // ---- sizes and packing ----

    static Diagnosis hostile(String what, String where) {
        return of(
                what + " Nobody builds such a file: it was made to exhaust memory, or is damaged.",
                where,
                "Do not load it; take the module from where it was built.");
    }

    static Diagnosis tooLarge(long limit) {
        return of(
                "The module has, unpacked, more than the " + limit + " bytes that are taken.",
                "",
                "If it is what it should be, give KoReader a higher limit (withLimit()).");
    }

    static Diagnosis corrupt(String format, String why) {
        return of(
                "The file is compressed with " + format + ", but cannot be unpacked: " + why + ".",
                "the compressed bytes",
                COPY_AGAIN);
    }

    static Diagnosis empty() {
        return of(
                "The file is empty: 0 bytes.",
                "file offset 0x0",
                "Copy, download or build it again; a full disk or a crash leaves such files.");
    }
}
