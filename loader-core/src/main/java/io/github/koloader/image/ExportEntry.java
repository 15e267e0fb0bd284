package io.github.koloader.image;

import java.util.OptionalInt;

/**
 * One export as the file has it, before relocation.
 *
 * @param name the exported name
 * @param gplOnly whether only GPL-compatible modules may use it
 * @param namespace its namespace, empty for none
 * @param crc its CRC, if it is in the file as a plain number
 */
public record ExportEntry(String name, boolean gplOnly, String namespace, OptionalInt crc) {}
