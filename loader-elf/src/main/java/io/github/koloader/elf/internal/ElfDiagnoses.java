package io.github.koloader.elf.internal;

import static io.github.koloader.Diagnosis.quote;
import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.Diagnosis;
import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.util.List;
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
    private static final String SIGN =
            "Sign the module with a key that the kernel trusts (scripts/sign-file, or `kmodsign`)";
    private static final String SIGNATURE = "the signature at the end of the file";
    private static final String UNTRUSTED =
            "The module is signed by a key that the kernel does not trust";
    private static final String ENROL =
            "Enrol the certificate (`mokutil --import`, then boot), or sign the module with a key"
                    + " that the kernel trusts (scripts/sign-file); here, give the certificate to"
                    + " SystemCalls.trusting() as TrustedKeys";

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
        if (starts(file, "(\u00b5/\u00fd")) {
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

    // ---- system calls ----

    static Diagnosis notPermitted() {
        return of(
                "The caller has no CAP_SYS_MODULE, or this kernel takes and gives up no modules any"
                        + " more (nomodule, or the sysctl kernel.modules_disabled).",
                "",
                "Call it as root, in a container with this capability; modules_disabled stays set"
                        + " until the next boot (here: KernelConfig.Builder.modulesDisabled).");
    }

    static Diagnosis shorterThanHeader(long length) {
        return of(
                "The module is said to have "
                        + length
                        + " bytes, fewer than the header of an ELF file.",
                "the length that init_module(2) was given",
                "Pass the length of the whole file, and check that all of it was read.");
    }

    static Diagnosis badPointer(String what) {
        return of(
                "The memory of "
                        + what
                        + " cannot be read: the pointer is null, or the length goes beyond its end.",
                "an argument of the call: " + what,
                "Pass memory that is there, and no more than its length.");
    }

    static Diagnosis unknownFlags(int flags) {
        return of(
                "Of the flags "
                        + hex(Integer.toUnsignedLong(flags))
                        + ", finit_module(2) of this kernel does not know all: it knows 1"
                        + " (MODULE_INIT_IGNORE_MODVERSIONS), 2 (MODULE_INIT_IGNORE_VERMAGIC) and,"
                        + " since Linux 5.17, 4 (MODULE_INIT_COMPRESSED_FILE).",
                "the flags that finit_module(2) was given",
                (flags & 4) == 0
                        ? "Pass 0, or only flags that this kernel knows."
                        : "Pass only flags that this kernel knows; before Linux 5.17, unpack the file"
                                + " first and leave out 4.");
    }

    static Diagnosis badDescriptor() {
        return of(
                "The file descriptor is closed, or not open for reading.",
                "the file that finit_module(2) was given",
                "Open the file for reading only (O_RDONLY), and close it after the call.");
    }

    static Diagnosis notRegular() {
        return of(
                "What is to be loaded is no regular file, but a directory, a pipe or a device.",
                "the file that finit_module(2) was given",
                "Give the path of a `.ko` file; what comes from a pipe can be loaded with"
                        + " init_module(2).");
    }

    static Diagnosis openForWriting() {
        return of(
                "The file is open for writing: it might change while it is loaded.",
                "the file that finit_module(2) was given",
                "Close it, and open it for reading only (O_RDONLY); `fuser -v` tells who else has it"
                        + " open.");
    }

    static Diagnosis fileTooLarge(long size) {
        return of(
                "The file has " + size + " bytes; a kernel reads no more than 2,147,483,647.",
                "the size of the file",
                "Check that this is the module, and no image of a disk; debug information goes with"
                        + " `strip --strip-debug`.");
    }

    static Diagnosis unreadable(Errno errno, IOException cause) {
        String why = quote(String.valueOf(cause.getMessage()));
        return switch (errno) {
            case ENOENT ->
                    of(
                            "The file " + why + " is not there.",
                            "the path of the file",
                            "Check the path; `modinfo -n` tells where the file of a module is.");
            case EACCES ->
                    of(
                            "The file " + why + " may not be opened for reading.",
                            "the permissions of the file, or of a directory above it",
                            "Call it as root, or give the file and its directories the permissions.");
            default ->
                    of(
                            "The file cannot be read: " + why + ".",
                            "",
                            "Look for errors of the disk or the network in the kernel's log, and read"
                                    + " the file with another program.");
        };
    }

    static Diagnosis nameTooLong(int longest) {
        return of(
                "The name is longer than the " + longest + " bytes that a module's name can have.",
                "the name that delete_module(2) was given",
                "Give the name as `lsmod` shows it, without a directory and without `.ko`.");
    }

    // ---- files that the kernel unpacks ----

    static Diagnosis notCompressed(String format) {
        return of(
                "The flag MODULE_INIT_COMPRESSED_FILE says that the file is packed, but it is not "
                        + format
                        + " compressed module, which is all that this kernel unpacks.",
                "the beginning of the file",
                "Load a file that is not packed without the flag; pack or unpack others as this"
                        + " kernel wants it (/sys/module/compression).");
    }

    static Diagnosis decompressionStatus(int status) {
        return of(
                "The kernel cannot unpack the file: it was cut or damaged, or is packed in a way"
                        + " that the kernel does not take (status "
                        + status
                        + ").",
                "the compressed bytes",
                COPY_AGAIN
                        + " If `gzip -t` or `xz -t` takes it, pack it as the kernel's build does, xz"
                        + " with `--check=crc32 --lzma2=dict=1MiB`, or unpack it first.");
    }

    static Diagnosis zstdStatus(int status) {
        return of(
                "The kernel cannot unpack the file with zstd: it was cut or damaged (error "
                        + status
                        + ").",
                "the compressed bytes",
                COPY_AGAIN + " `zstd -t` tells whether a file is whole.");
    }

    static Diagnosis zstdHeader() {
        return of(
                "The file ends within the header of its zstd frame: it was cut.",
                "the first bytes of the file",
                COPY_AGAIN + " `zstd -t` tells whether a file is whole.");
    }

    static Diagnosis cannotDecompress() {
        return of(
                "The flag MODULE_INIT_COMPRESSED_FILE asks a kernel to unpack the file that is built"
                        + " without CONFIG_MODULE_DECOMPRESS.",
                "the flags that finit_module(2) was given, 4",
                "Unpack the file first, and load it without the flag; or say what the kernel unpacks"
                        + " (here: KernelConfig.Builder.moduleCompression).");
    }

    // ---- signatures ----

    private static String by(String signer) {
        return signer.isEmpty() ? "" : " It is said to be signed by " + signer + ".";
    }

    private static String signatureOf(String signer) {
        return signer.isEmpty() ? SIGNATURE : SIGNATURE + ": signer " + signer;
    }

    static Diagnosis badSignature(Errno errno, List<LogLine> lines, String signer) {
        if (!lines.isEmpty()) {
            return of(
                    "The signature is not put together as this kernel takes it: "
                            + quote(lines.get(0).text())
                            + "."
                            + by(signer),
                    signatureOf(signer),
                    "Sign the module anew with scripts/sign-file of this kernel: a detached PKCS#7"
                            + " signature of plain data, without attributes.");
        }
        return switch (errno) {
            case EKEYREJECTED ->
                    of(
                            "The signature does not fit the module: the file was changed after it was"
                                    + " signed, such as by `strip`."
                                    + by(signer),
                            signatureOf(signer),
                            "Take the file as it was signed, or sign it anew after the last change"
                                    + " (scripts/sign-file).");
            case ENOPKG ->
                    of(
                            "The signature is of a kind, or with a hash, that this kernel does not"
                                    + " know."
                                    + by(signer),
                            signatureOf(signer),
                            SIGN + ", with a hash that the kernel has, such as sha256.");
            default ->
                    of(
                            "The file is marked as signed, but its signature cannot be parsed: it is"
                                    + " damaged, or lengths in it are wrong."
                                    + by(signer),
                            signatureOf(signer),
                            "Take the file anew from where it was built, or sign it anew"
                                    + " (scripts/sign-file).");
        };
    }

    static Diagnosis signatureInformation() {
        return of(
                "The information behind the signature has numbers other than 0 where a PKCS#7"
                        + " signature has none: it is damaged, or made by an old sign-file.",
                "the 12 bytes before `~Module signature appended~`",
                "Sign the module anew with scripts/sign-file of this kernel.");
    }

    static Diagnosis blacklistedHash(String sha256) {
        return of(
                "The signature is valid, but the kernel's blacklist has the hash of this very file: it"
                        + " was revoked, usually for a hole in its security.",
                "SHA-256 of the file: " + sha256,
                "Install a newer version of the module (here: TrustedKeys.blacklisting names the"
                        + " hashes).");
    }

    /** Why a module counts as unsigned; a clause of what the kernel demands follows. */
    private static String unsigned(String reason, boolean ignored) {
        if (ignored) {
            return "The module is signed, but a flag to ignore versions keeps the kernel from looking"
                    + " at the signature";
        }
        return switch (reason) {
            case "unsigned module" -> "The module has no signature";
            case "module with unsupported crypto" ->
                    "The module is signed in a way, or with a hash, that this kernel does not know";
            default -> UNTRUSTED;
        };
    }

    private static String signing(String reason, boolean ignored) {
        if (ignored) {
            return "Pass finit_module(2) no flags 1 and 2 (`modprobe` without `--force`)";
        }
        return switch (reason) {
            case "unsigned module" ->
                    SIGN
                            + "; a key of one's own is enrolled with `mokutil --import` (here:"
                            + " TrustedKeys); a tool such as `strip` takes signatures away";
            case "module with unsupported crypto" ->
                    SIGN + ", as PKCS#7 and with a hash that the kernel has, such as sha256";
            default -> ENROL;
        };
    }

    private static Diagnosis unsigned(
            String reason, String signer, boolean ignored, String demand, String otherwise) {
        boolean none = reason.equals("unsigned module") && !ignored;
        return of(
                unsigned(reason, ignored) + demand + by(none ? "" : signer),
                none ? "the end of the file" : signatureOf(signer),
                signing(reason, ignored) + otherwise);
    }

    static Diagnosis unsignedRejected(String reason, String signer, boolean ignored) {
        return unsigned(
                reason,
                signer,
                ignored,
                ", and this kernel takes only signed modules (module.sig_enforce).",
                "; or do not demand it (KernelConfig.Builder.sigEnforce).");
    }

    static Diagnosis unsignedRejectedSilently(boolean signed, String signer) {
        return unsignedRejected(
                signed ? "module with unavailable key" : "unsigned module", signer, false);
    }

    static Diagnosis lockedDown(String reason, String signer, boolean ignored) {
        return unsigned(
                reason,
                signer,
                ignored,
                ", and this kernel is locked down, usually by Secure Boot: it takes only signed"
                        + " modules.",
                "; or boot without Secure Boot and `lockdown=` (KernelConfig.Builder.lockdown).");
    }
}
