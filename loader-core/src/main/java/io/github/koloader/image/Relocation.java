package io.github.koloader.image;

/**
 * One relocation, as a value; the loader itself reads {@link RelocationTable}.
 *
 * @param offset bytes from the start of the section it patches
 * @param type relocation type of the machine
 * @param symbolIndex index in the symbol table
 * @param addend the addend; 0 in a table without addends
 */
public record Relocation(long offset, int type, int symbolIndex, long addend) {}
