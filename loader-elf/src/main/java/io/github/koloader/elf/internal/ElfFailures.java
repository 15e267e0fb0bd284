package io.github.koloader.elf.internal;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import io.github.koloader.arch.Architecture;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Every way a file can fail to be a module: errno and what the kernel logs. Texts are those of
 * Linux 6.1, unless the comment names other versions, or says that they are ours, for what Linux
 * does not look at.
 */
public final class ElfFailures {
    private ElfFailures() {}

    private static LoadException failure(String format, Object... arguments) {
        return failure(Errno.ENOEXEC, format, arguments);
    }

    private static LoadException failure(Errno errno, String format, Object... arguments) {
        return failure(errno, LogLevel.ERR, format, arguments);
    }

    private static LoadException failure(
            Errno errno, LogLevel level, String format, Object... arguments) {
        return new LoadException(
                errno, new LogLine(level, String.format(Locale.ROOT, format, arguments)));
    }

    /** No memory for a copy of the file. */
    public static LoadException noMemory(long size) {
        return LoadException.silent(Errno.ENOMEM, "no room for the " + size + " bytes of the file")
                .diagnosed(ElfDiagnoses.noMemory(size));
    }

    /** Shorter than an ELF header. */
    public static LoadException headerTooShort(Bytes file) {
        return failure("Invalid ELF header len %d", file.size())
                .diagnosed(ElfDiagnoses.headerTooShort(file));
    }

    /** Not an ELF file. */
    public static LoadException wrongMagic(Bytes file) {
        return failure("Invalid ELF header magic: != \u007fELF")
                .diagnosed(ElfDiagnoses.wrongMagic(file));
    }

    /** Not ET_REL. */
    public static LoadException wrongType(int type) {
        return failure("Invalid ELF header type: %d != %d", type, ElfConstants.ET_REL)
                .diagnosed(ElfDiagnoses.wrongType(type));
    }

    /** For another machine. */
    public static LoadException wrongMachine(int machine, @Nullable Architecture expected) {
        return failure("Invalid architecture in ELF header: %d", machine)
                .diagnosed(ElfDiagnoses.wrongMachine(machine, expected));
    }

    /** {@code e_shentsize} of another class. */
    public static LoadException wrongSectionHeaderSize() {
        return failure("Invalid ELF section header size")
                .diagnosed(ElfDiagnoses.wrongSectionHeaderSize());
    }

    /** The section headers do not lie in the file. */
    public static LoadException sectionHeadersBeyondEnd(long headers, long end, long size) {
        return failure("Invalid ELF section header overflow")
                .diagnosed(ElfDiagnoses.sectionHeadersBeyondEnd(headers, end, size));
    }

    /** {@code e_shstrndx} is no section; extended numbering ends here as well. */
    public static LoadException wrongNameIndex(int index, int count) {
        return failure(
                        "Invalid ELF section name index: %d || e_shstrndx (%d) >= e_shnum (%d)",
                        index, index, count)
                .diagnosed(ElfDiagnoses.wrongNameIndex(index, count));
    }

    /** The name table does not lie in the file. */
    public static LoadException nameTableBeyondEnd(
            int index, int type, long offset, long length, long size) {
        return failure("Invalid ELF section hdr(type %s)", Integer.toUnsignedString(type))
                .diagnosed(ElfDiagnoses.sectionBeyondEnd(index, type, offset, length, size));
    }

    /** The name table is empty. */
    public static LoadException emptyNameTable() {
        return failure("empty section name table")
                .diagnosed(ElfDiagnoses.names("The section with the names of sections is empty."));
    }

    /** The name table does not end in NUL. */
    public static LoadException nameTableUnterminated() {
        return failure("ELF Spec violation: section name table isn't null terminated")
                .diagnosed(ElfDiagnoses.names("The last name of a section is not terminated."));
    }

    /** Section 0 is not the empty one. */
    public static LoadException sectionZeroInUse(int type) {
        return failure(
                        "ELF Spec violation: section 0 type(%d)!=SH_NULL or non-zero len or addr",
                        type)
                .diagnosed(
                        ElfDiagnoses.section(
                                "Section 0, which every ELF file leaves empty, is in use.",
                                "header of section 0"));
    }

    /** A symbol table without strings. */
    public static LoadException wrongLink(int link, int count) {
        return failure(
                        "Invalid ELF sh_link!=SHN_UNDEF(%d) or (sh_link(%d) >= hdr->e_shnum(%d)",
                        link, link, count)
                .diagnosed(
                        ElfDiagnoses.section(
                                "The symbol table names a section for its strings that there is not, of "
                                        + count
                                        + " sections.",
                                "header of the symbol table, sh_link " + link));
    }

    /** A section does not lie in the file. */
    public static LoadException sectionBeyondEnd(
            int index, int type, long offset, long length, long size) {
        return failure(
                        "Invalid ELF section in module (section %d type %s)",
                        index, Integer.toUnsignedString(type))
                .diagnosed(ElfDiagnoses.sectionBeyondEnd(index, type, offset, length, size));
    }

    /** An allocated section's name does not lie in the name table. */
    public static LoadException sectionNameOutside(int index, int type) {
        return failure(
                        "Invalid ELF section name in module (section %d type %s)",
                        index, Integer.toUnsignedString(type))
                .diagnosed(
                        ElfDiagnoses.section(
                                "The name of the section does not lie among the names of sections.",
                                "header of section " + index));
    }

    /** Up to 5.17: the header is not that of a module; the kernel says nothing. */
    public static LoadException unnamed(LoadException failure) {
        return LoadException.silent(Errno.ENOEXEC, failure.dmesg())
                .diagnosed(ElfDiagnoses.unnamed(failure));
    }

    /** Up to 5.17: a section does not lie in the file. */
    public static LoadException truncated(
            long size, int index, int type, long offset, long length) {
        return failure("Module len %d truncated", size)
                .diagnosed(ElfDiagnoses.sectionBeyondEnd(index, type, offset, length, size));
    }

    /** Ours: up to 5.17 names are wherever {@code e_shstrndx} leads. */
    public static LoadException namesOutside(int index) {
        return failure("names of sections are said to be in section %d, which there is not", index)
                .diagnosed(
                        ElfDiagnoses.names(
                                "The names of sections are said to be in section "
                                        + index
                                        + ", which there is not."));
    }

    /** Since 6.12: the name table is no string table. */
    public static LoadException nameTableType(int type) {
        return failure("Invalid ELF section name table type: %s", Integer.toUnsignedString(type))
                .diagnosed(
                        ElfDiagnoses.names(
                                "The section with the names of sections is no string table."));
    }

    /** Since 6.12: the symbols' strings are no string table. */
    public static LoadException stringTableType(int type) {
        return failure("Invalid ELF symbol string table type: %s", Integer.toUnsignedString(type))
                .diagnosed(
                        ElfDiagnoses.strings(
                                "The section with the names of symbols is no string table."));
    }

    /** Since 6.4: a second {@code .modinfo}. */
    public static LoadException severalModinfo() {
        return failure("Only one .modinfo section must exist.")
                .diagnosed(ElfDiagnoses.severalModinfo());
    }

    /** Since 6.4: no symbol table, or a second one. */
    public static LoadException noSymbols(String name) {
        return failure(
                        Errno.ENOEXEC,
                        LogLevel.WARNING,
                        "%s: module has no symbols (stripped?)",
                        name)
                .diagnosed(ElfDiagnoses.noSymbols(name));
    }

    /** 6.4 to 6.11: no {@code struct module}, or a second one. */
    public static LoadException severalThisModules(String name) {
        return failure("module %s: Only one .gnu.linkonce.this_module section must exist.", name)
                .diagnosed(
                        ElfDiagnoses.thisModule(
                                name, " has no structure that makes it a module, or several."));
    }

    /** Since 6.12: no {@code struct module}, or a second one. */
    public static LoadException notOneThisModule(String name) {
        return failure("module %s: Exactly one .gnu.linkonce.this_module section must exist.", name)
                .diagnosed(
                        ElfDiagnoses.thisModule(
                                name, " has no structure that makes it a module, or several."));
    }

    /** Since 6.4: {@code struct module} is of type NOBITS. */
    public static LoadException thisModuleWithoutContents(String name) {
        return failure("module %s: .gnu.linkonce.this_module section must have a size set", name)
                .diagnosed(ElfDiagnoses.thisModule(name, " has a structure without contents."));
    }

    /** Since 6.4: {@code struct module} takes no memory. */
    public static LoadException thisModuleNotAllocated(String name) {
        return failure(
                        "module %s: .gnu.linkonce.this_module must occupy memory during process execution",
                        name)
                .diagnosed(
                        ElfDiagnoses.thisModule(
                                name,
                                " has a structure that takes no memory (no flag SHF_ALLOC)."));
    }

    /** Since 6.4: {@code struct module} of another size than the kernel's. */
    public static LoadException thisModuleSize(String name) {
        return failure(
                        "module %s: .gnu.linkonce.this_module section size must match the kernel's built struct module size"
                                + " at run time",
                        name)
                .diagnosed(ElfDiagnoses.thisModuleSize(name));
    }

    /** Since 6.13: symbols without strings. */
    public static LoadException emptyStringTable() {
        return failure("empty symbol string table")
                .diagnosed(ElfDiagnoses.strings("There are symbols, but no names of symbols."));
    }

    /** Since 6.13: the strings do not begin with NUL. */
    public static LoadException stringTableBeginning() {
        return failure("symbol string table missing leading NUL")
                .diagnosed(
                        ElfDiagnoses.strings(
                                "The names of symbols do not begin with the empty name."));
    }

    /** Since 6.13: the strings do not end in NUL. */
    public static LoadException stringTableUnterminated() {
        return failure("symbol string table isn't NUL terminated")
                .diagnosed(ElfDiagnoses.strings("The last name of a symbol is not terminated."));
    }

    /** Since 6.13: a symbol's name does not lie in the strings. */
    public static LoadException symbolNameOutside() {
        return failure("symbol name out of bounds in string table")
                .diagnosed(
                        ElfDiagnoses.strings(
                                "The name of a symbol does not lie among the names of symbols."));
    }

    /** Since 6.14: CRCs for long names without the names, or the other way round. */
    public static LoadException extendedVersionsIncomplete() {
        return failure("extended version crc+name presence does not match")
                .diagnosed(
                        ElfDiagnoses.extendedVersions(
                                "There are CRCs of long names without the names, or names without CRCs."));
    }

    /** Since 6.14: fewer long names than CRCs for them. */
    public static LoadException extendedVersionsWithoutNames() {
        return failure("more extended version crcs than names")
                .diagnosed(
                        ElfDiagnoses.extendedVersions(
                                "There are more CRCs of long names than names."));
    }

    /** Ours: a name that does not even lie in the file, of a section that Linux does not check. */
    public static LoadException nameBeyondEnd(int index, long offset) {
        return failure(
                        "name of section %d at file offset 0x%x lies beyond the end of the file",
                        index, offset)
                .diagnosed(
                        ElfDiagnoses.section(
                                "The name of the section lies beyond the end of the file.",
                                "header of section "
                                        + index
                                        + ", name at file offset 0x"
                                        + Long.toHexString(offset)));
    }

    /**
     * Ours: many sections share one long name, so that their names are much larger than the file.
     */
    public static LoadException namesTooLong(int index, long offset) {
        return failure(
                        "names of sections up to section %d, whose name is at file offset 0x%x, are larger than the file",
                        index, offset)
                .diagnosed(
                        ElfDiagnoses.hostile(
                                "Sections share their names so that these are larger than the file.",
                                "header of section "
                                        + index
                                        + ", name at file offset 0x"
                                        + Long.toHexString(offset)));
    }

    /** Ours: names of symbols overlap, so that together they are much larger than their table. */
    public static LoadException symbolNamesTooLong(int index, long offset) {
        return failure(
                        "names of symbols up to symbol %d, whose name is at offset 0x%x, are larger than their table",
                        index, offset)
                .diagnosed(
                        ElfDiagnoses.hostile(
                                "Symbols share their names so that these are larger than their table.",
                                "symbol "
                                        + index
                                        + ", name at offset 0x"
                                        + Long.toHexString(offset)
                                        + " of `.strtab`"));
    }

    /** Ours: relocation sections overlap, so that together they are larger than the file. */
    public static LoadException relocationsOverlap(int section, long offset) {
        return failure(
                        "relocations up to section %d at file offset 0x%x are larger than the file",
                        section, offset)
                .diagnosed(
                        ElfDiagnoses.hostile(
                                "Sections of relocations overlap, and are larger than the file.",
                                "section "
                                        + section
                                        + " at file offset 0x"
                                        + Long.toHexString(offset)));
    }

    /** Ours: neither a class nor a machine that tells how to read the header. */
    public static LoadException unknownClass(int elfClass, int data) {
        return failure(
                        "ELF class %d and data encoding %d at file offset 4: unknown",
                        elfClass, data)
                .diagnosed(ElfDiagnoses.unknownClass(elfClass, data));
    }

    /** Ours: more bytes than the reader was told to take. */
    public static LoadException tooLarge(long limit) {
        return failure(Errno.EFBIG, "module is larger than %d bytes", limit)
                .diagnosed(ElfDiagnoses.tooLarge(limit));
    }

    /** No CAP_SYS_MODULE, or {@code modules_disabled} is set. */
    public static LoadException notPermitted() {
        return LoadException.silent(Errno.EPERM, "modules may not be loaded or unloaded")
                .diagnosed(ElfDiagnoses.notPermitted());
    }

    /** Memory for {@code init_module(2)} that is shorter than an ELF header. */
    public static LoadException shorterThanHeader(long length) {
        return LoadException.silent(Errno.ENOEXEC, length + " bytes are no module")
                .diagnosed(ElfDiagnoses.shorterThanHeader(length));
    }

    /** Memory of the caller that cannot be read. */
    public static LoadException badPointer(String what) {
        return LoadException.silent(Errno.EFAULT, what + " is a bad pointer")
                .diagnosed(ElfDiagnoses.badPointer(what));
    }

    /** Flags that {@code finit_module(2)} does not know. */
    public static LoadException unknownFlags(int flags) {
        return LoadException.silent(Errno.EINVAL, "flags 0x" + Integer.toHexString(flags))
                .diagnosed(ElfDiagnoses.unknownFlags(flags));
    }

    /** No file, or one that is not open for reading. */
    public static LoadException badDescriptor(Errno errno) {
        return LoadException.silent(errno, "the file is not open for reading")
                .diagnosed(ElfDiagnoses.badDescriptor());
    }

    /** A directory, a pipe or a device. */
    public static LoadException notRegular() {
        return LoadException.silent(Errno.EINVAL, "not a regular file")
                .diagnosed(ElfDiagnoses.notRegular());
    }

    /** A file that somebody may change meanwhile. */
    public static LoadException openForWriting() {
        return LoadException.silent(Errno.ETXTBSY, "the file is open for writing")
                .diagnosed(ElfDiagnoses.openForWriting());
    }

    /** A file beyond what a kernel reads. */
    public static LoadException fileTooLarge(long size) {
        return LoadException.silent(Errno.EFBIG, "the file has " + size + " bytes")
                .diagnosed(ElfDiagnoses.fileTooLarge(size));
    }

    /** A file that cannot be opened or read: what {@code open(2)} answers, or else EIO. */
    public static LoadException unreadable(IOException cause) {
        Errno errno =
                cause instanceof NoSuchFileException
                        ? Errno.ENOENT
                        : cause instanceof AccessDeniedException ? Errno.EACCES : Errno.EIO;
        return LoadException.silent(errno, String.valueOf(cause.getMessage()))
                .causedBy(cause)
                .diagnosed(ElfDiagnoses.unreadable(errno, cause));
    }

    /** A name that no module can have. */
    public static LoadException nameTooLong(int longest) {
        return LoadException.silent(
                        Errno.ENOENT, "no module has a name of more than " + longest + " bytes")
                .diagnosed(ElfDiagnoses.nameTooLong(longest));
    }

    /** A file for {@code MODULE_INIT_COMPRESSED_FILE} that is not packed as it should be. */
    public static LoadException notCompressed(String format) {
        return failure(Errno.EINVAL, "not %s compressed module", format)
                .diagnosed(ElfDiagnoses.notCompressed(format));
    }

    /** A packed file that the kernel's gzip or xz decoder ends with another status than success. */
    public static LoadException decompressionStatus(int status) {
        return failure(Errno.EINVAL, "decompression failed with status %d", status)
                .diagnosed(ElfDiagnoses.decompressionStatus(status));
    }

    /** Since 6.2: a packed file that the kernel's zstd decoder ends with an error. */
    public static LoadException zstdStatus(int status) {
        return failure(Errno.EINVAL, "ZSTD-decompression failed with status %d", status)
                .diagnosed(ElfDiagnoses.zstdStatus(status));
    }

    /** Since 6.2: zstd whose beginning tells nothing. */
    public static LoadException zstdHeader() {
        return failure(Errno.EINVAL, "ZSTD-compressed data has an incomplete frame header")
                .diagnosed(ElfDiagnoses.zstdHeader());
    }

    /** {@code MODULE_INIT_COMPRESSED_FILE} for a kernel that unpacks nothing. */
    public static LoadException cannotDecompress() {
        return LoadException.silent(
                        Errno.EOPNOTSUPP, "this kernel was built without CONFIG_MODULE_DECOMPRESS")
                .diagnosed(ElfDiagnoses.cannotDecompress());
    }

    /**
     * A signature that is not taken, whether one has to be there or not.
     *
     * @param signer who signed, with the key's id, as text; empty if that is not known
     */
    public static LoadException badSignature(Errno errno, List<LogLine> lines, String signer) {
        LoadException failure =
                lines.isEmpty()
                        ? LoadException.silent(errno, "the signature is not valid")
                        : new LoadException(errno, lines);
        return failure.diagnosed(ElfDiagnoses.badSignature(errno, lines, signer));
    }

    /** A signature whose information says more than it may. */
    public static LoadException signatureInformation() {
        return failure(
                        Errno.EBADMSG,
                        "module: PKCS#7 signature info has unexpected non-zero params")
                .diagnosed(ElfDiagnoses.signatureInformation());
    }

    /** A signature that is valid, of a module that is refused all the same. */
    public static LoadException blacklistedHash(String sha256) {
        return failure(Errno.EKEYREJECTED, "Module hash %s is blacklisted", sha256)
                .diagnosed(ElfDiagnoses.blacklistedHash(sha256));
    }

    /**
     * No valid signature, where there has to be one.
     *
     * @param signer who signed, with the key's id, as text; empty if that is not known
     * @param ignored whether there is a signature, but a flag kept it from being looked at
     */
    public static LoadException unsignedRejected(String reason, String signer, boolean ignored) {
        return failure(Errno.EKEYREJECTED, LogLevel.NOTICE, "Loading of %s is rejected", reason)
                .diagnosed(ElfDiagnoses.unsignedRejected(reason, signer, ignored));
    }

    /**
     * Up to 4.2: no signature by a known key, where there has to be one.
     *
     * @param signed whether there is a signature at all
     * @param signer who signed, with the key's id, as text; empty if that is not known
     */
    public static LoadException unsignedRejectedSilently(boolean signed, String signer) {
        return LoadException.silent(Errno.ENOKEY, "no signature by a known key")
                .diagnosed(ElfDiagnoses.unsignedRejectedSilently(signed, signer));
    }

    /**
     * No valid signature, on a kernel that is locked down.
     *
     * @param reason as for {@link #unsignedRejected}
     * @param signer who signed, with the key's id, as text; empty if that is not known
     * @param ignored whether there is a signature, but a flag kept it from being looked at
     */
    public static LoadException lockedDown(
            String process, String reason, String signer, boolean ignored) {
        return failure(
                        Errno.EPERM,
                        LogLevel.NOTICE,
                        "Lockdown: %s: unsigned module loading is restricted; see man kernel_lockdown.7",
                        process)
                .diagnosed(ElfDiagnoses.lockedDown(reason, signer, ignored));
    }

    /** Ours: compressed bytes that cannot be decompressed. */
    public static LoadException corrupt(String format, String why) {
        return failure(Errno.EINVAL, "%s decompression failed: %s", format, why)
                .diagnosed(ElfDiagnoses.corrupt(format, why));
    }

    /** Ours: an empty file, which {@code finit_module(2)} answers with EINVAL and silence. */
    public static LoadException empty() {
        return LoadException.silent(Errno.EINVAL, "the file is empty")
                .diagnosed(ElfDiagnoses.empty());
    }
}
