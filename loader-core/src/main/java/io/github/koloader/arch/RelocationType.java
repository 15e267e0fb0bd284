package io.github.koloader.arch;

/**
 * A relocation as a row of its architecture's table.
 *
 * @param code its number
 * @param name its name in the psABI
 * @param formula how its value comes about
 * @param field what it writes
 */
public record RelocationType(int code, String name, Formula formula, Field field) {}
