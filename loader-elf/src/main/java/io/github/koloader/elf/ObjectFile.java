package io.github.koloader.elf;

import static java.util.Objects.requireNonNull;

import io.github.koloader.image.ModuleImage;

/**
 * A relocatable object and what it is called.
 *
 * @param name its file's name, or its name in an archive
 * @param image what is in it
 */
public record ObjectFile(String name, ModuleImage image) {
    /**
     * Checks for nulls.
     *
     * @param name its file's name, or its name in an archive
     * @param image what is in it
     */
    public ObjectFile {
        requireNonNull(name);
        requireNonNull(image);
    }
}
