package io.github.koloader.elf.internal;

import io.github.koloader.Errno;
import io.github.koloader.LoadException;
import io.github.koloader.LogLevel;
import io.github.koloader.LogLine;
import java.util.Locale;

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
        return LoadException.silent(Errno.ENOMEM, "no room for the " + size + " bytes of the file");
    }

    /** Shorter than an ELF header. */
    public static LoadException headerTooShort(long length) {
        return failure("Invalid ELF header len %d", length);
    }

    /** Not an ELF file. */
    public static LoadException wrongMagic() {
        return failure("Invalid ELF header magic: != \u007fELF");
    }

    /** Not ET_REL. */
    public static LoadException wrongType(int type) {
        return failure("Invalid ELF header type: %d != %d", type, ElfConstants.ET_REL);
    }

    /** For another machine. */
    public static LoadException wrongMachine(int machine) {
        return failure("Invalid architecture in ELF header: %d", machine);
    }

    /** {@code e_shentsize} of another class. */
    public static LoadException wrongSectionHeaderSize() {
        return failure("Invalid ELF section header size");
    }

    /** The section headers do not lie in the file. */
    public static LoadException sectionHeadersBeyondEnd() {
        return failure("Invalid ELF section header overflow");
    }

    /** {@code e_shstrndx} is no section; extended numbering ends here as well. */
    public static LoadException wrongNameIndex(int index, int count) {
        return failure(
                "Invalid ELF section name index: %d || e_shstrndx (%d) >= e_shnum (%d)",
                index, index, count);
    }

    /** The name table does not lie in the file. */
    public static LoadException nameTableBeyondEnd(int type) {
        return failure("Invalid ELF section hdr(type %s)", Integer.toUnsignedString(type));
    }

    /** The name table is empty. */
    public static LoadException emptyNameTable() {
        return failure("empty section name table");
    }

    /** The name table does not end in NUL. */
    public static LoadException nameTableUnterminated() {
        return failure("ELF Spec violation: section name table isn't null terminated");
    }

    /** Section 0 is not the empty one. */
    public static LoadException sectionZeroInUse(int type) {
        return failure(
                "ELF Spec violation: section 0 type(%d)!=SH_NULL or non-zero len or addr", type);
    }

    /** A symbol table without strings. */
    public static LoadException wrongLink(int link, int count) {
        return failure(
                "Invalid ELF sh_link!=SHN_UNDEF(%d) or (sh_link(%d) >= hdr->e_shnum(%d)",
                link, link, count);
    }

    /** A section does not lie in the file. */
    public static LoadException sectionBeyondEnd(int index, int type) {
        return failure(
                "Invalid ELF section in module (section %d type %s)",
                index, Integer.toUnsignedString(type));
    }

    /** An allocated section's name does not lie in the name table. */
    public static LoadException sectionNameOutside(int index, int type) {
        return failure(
                "Invalid ELF section name in module (section %d type %s)",
                index, Integer.toUnsignedString(type));
    }

    /** Up to 5.17: the header is not that of a module; the kernel says nothing. */
    public static LoadException unnamed(LoadException failure) {
        return LoadException.silent(Errno.ENOEXEC, failure.dmesg());
    }

    /** Up to 5.17: a section does not lie in the file. */
    public static LoadException truncated(long length) {
        return failure("Module len %d truncated", length);
    }

    /** Ours: up to 5.17 names are wherever {@code e_shstrndx} leads. */
    public static LoadException namesOutside(int index) {
        return failure("names of sections are said to be in section %d, which there is not", index);
    }

    /** Since 6.12: the name table is no string table. */
    public static LoadException nameTableType(int type) {
        return failure("Invalid ELF section name table type: %s", Integer.toUnsignedString(type));
    }

    /** Since 6.12: the symbols' strings are no string table. */
    public static LoadException stringTableType(int type) {
        return failure("Invalid ELF symbol string table type: %s", Integer.toUnsignedString(type));
    }

    /** Since 6.4: a second {@code .modinfo}. */
    public static LoadException severalModinfo() {
        return failure("Only one .modinfo section must exist.");
    }

    /** Since 6.4: no symbol table, or a second one. */
    public static LoadException noSymbols(String name) {
        return failure(
                Errno.ENOEXEC, LogLevel.WARNING, "%s: module has no symbols (stripped?)", name);
    }

    /** 6.4 to 6.11: no {@code struct module}, or a second one. */
    public static LoadException severalThisModules(String name) {
        return failure("module %s: Only one .gnu.linkonce.this_module section must exist.", name);
    }

    /** Since 6.12: no {@code struct module}, or a second one. */
    public static LoadException notOneThisModule(String name) {
        return failure(
                "module %s: Exactly one .gnu.linkonce.this_module section must exist.", name);
    }

    /** Since 6.4: {@code struct module} is of type NOBITS. */
    public static LoadException thisModuleWithoutContents(String name) {
        return failure("module %s: .gnu.linkonce.this_module section must have a size set", name);
    }

    /** Since 6.4: {@code struct module} takes no memory. */
    public static LoadException thisModuleNotAllocated(String name) {
        return failure(
                "module %s: .gnu.linkonce.this_module must occupy memory during process execution",
                name);
    }

    /** Since 6.4: {@code struct module} of another size than the kernel's. */
    public static LoadException thisModuleSize(String name) {
        return failure(
                "module %s: .gnu.linkonce.this_module section size must match the kernel's built struct module size"
                        + " at run time",
                name);
    }

    /** Since 6.13: symbols without strings. */
    public static LoadException emptyStringTable() {
        return failure("empty symbol string table");
    }

    /** Since 6.13: the strings do not begin with NUL. */
    public static LoadException stringTableBeginning() {
        return failure("symbol string table missing leading NUL");
    }

    /** Since 6.13: the strings do not end in NUL. */
    public static LoadException stringTableUnterminated() {
        return failure("symbol string table isn't NUL terminated");
    }

    /** Since 6.13: a symbol's name does not lie in the strings. */
    public static LoadException symbolNameOutside() {
        return failure("symbol name out of bounds in string table");
    }

    /** Since 6.14: CRCs for long names without the names, or the other way round. */
    public static LoadException extendedVersionsIncomplete() {
        return failure("extended version crc+name presence does not match");
    }

    /** Since 6.14: fewer long names than CRCs for them. */
    public static LoadException extendedVersionsWithoutNames() {
        return failure("more extended version crcs than names");
    }

    /** Ours: a name that does not even lie in the file, of a section that Linux does not check. */
    public static LoadException nameBeyondEnd(int index, long offset) {
        return failure(
                "name of section %d at file offset 0x%x lies beyond the end of the file",
                index, offset);
    }

    /**
     * Ours: many sections share one long name, so that their names are much larger than the file.
     */
    public static LoadException namesTooLong(int index, long offset) {
        return failure(
                "names of sections up to section %d, whose name is at file offset 0x%x, are larger than the file",
                index, offset);
    }

    /** Ours: names of symbols overlap, so that together they are much larger than their table. */
    public static LoadException symbolNamesTooLong(int index, long offset) {
        return failure(
                "names of symbols up to symbol %d, whose name is at offset 0x%x, are larger than their table",
                index, offset);
    }

    /** Ours: relocation sections overlap, so that together they are larger than the file. */
    public static LoadException relocationsOverlap(int section, long offset) {
        return failure(
                "relocations up to section %d at file offset 0x%x are larger than the file",
                section, offset);
    }

    /** Ours: neither a class nor a machine that tells how to read the header. */
    public static LoadException unknownClass(int elfClass, int data) {
        return failure(
                "ELF class %d and data encoding %d at file offset 4: unknown", elfClass, data);
    }

    /** Ours: more bytes than the reader was told to take. */
    public static LoadException tooLarge(long limit) {
        return failure(Errno.EFBIG, "module is larger than %d bytes", limit);
    }

    /** Ours: compressed bytes that cannot be decompressed. */
    public static LoadException corrupt(String format, String why) {
        return failure(Errno.EINVAL, "%s decompression failed: %s", format, why);
    }

    /** Ours: an empty file, which {@code finit_module(2)} answers with EINVAL and silence. */
    public static LoadException empty() {
        return LoadException.silent(Errno.EINVAL, "the file is empty");
    }
}
