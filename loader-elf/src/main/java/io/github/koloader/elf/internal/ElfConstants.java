package io.github.koloader.elf.internal;

import io.github.koloader.image.Encoding;

/** Offsets and numbers of the ELF file format. Offsets are for a 64-bit or 32-bit file. */
final class ElfConstants {
    static final int EI_CLASS = 4;
    static final int EI_DATA = 5;
    static final int ELFCLASS32 = 1;
    static final int ELFCLASS64 = 2;
    static final int ELFDATA2LSB = 1;
    static final int ELFDATA2MSB = 2;
    static final int ET_REL = 1;
    static final int E_TYPE = 16;
    static final int E_MACHINE = 18;
    static final int E_ENTRY = 24;

    private ElfConstants() {}

    static int headerSize(Encoding encoding) {
        return encoding.wide() ? 64 : 52;
    }

    static int sectionHeaderSize(Encoding encoding) {
        return encoding.wide() ? 64 : 40;
    }

    static int shoffAt(Encoding encoding) {
        return encoding.wide() ? 40 : 32;
    }

    static int flagsAt(Encoding encoding) {
        return encoding.wide() ? 48 : 36;
    }

    static int ehsizeAt(Encoding encoding) {
        return encoding.wide() ? 52 : 40;
    }

    static int shentsizeAt(Encoding encoding) {
        return encoding.wide() ? 58 : 46;
    }

    static int shnumAt(Encoding encoding) {
        return encoding.wide() ? 60 : 48;
    }

    static int shstrndxAt(Encoding encoding) {
        return encoding.wide() ? 62 : 50;
    }
}
