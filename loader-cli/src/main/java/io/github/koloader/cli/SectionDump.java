package io.github.koloader.cli;

import io.github.koloader.LoadedSection;
import io.github.koloader.Module;
import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Keeps the bytes of a module's sections and writes each to a file of its name. */
final class SectionDump {
    private static final int LONGEST_NAME = 100;

    private final Map<String, Bytes> contents = new LinkedHashMap<>();
    private final Set<String> taken = new HashSet<>();

    /** Keeps the sections as they are now. */
    void take(Module module) {
        for (LoadedSection section : module.sections()) {
            if (section.present()) {
                contents.put(fileName(section), module.contents(section));
            }
        }
    }

    /**
     * The section's name, safe on any file system and given once: {@code ~INDEX} is added where
     * needed.
     */
    private String fileName(LoadedSection section) {
        String name = section.name().replaceAll("[^A-Za-z0-9._-]", "_");
        if (name.length() > LONGEST_NAME) {
            name = name.substring(0, LONGEST_NAME);
        }
        boolean special = name.isEmpty() || name.equals(".") || name.equals("..");
        if (special || !taken.add(name.toLowerCase(Locale.ROOT))) {
            return name + "~" + section.index(); // no name from the file has a tilde
        }
        return name;
    }

    /** Writes the files into {@code directory}, which is made if it is not there. */
    void write(Path directory) throws IOException {
        Files.createDirectories(directory);
        for (Map.Entry<String, Bytes> section : contents.entrySet()) {
            Files.write(directory.resolve(section.getKey()), section.getValue().toByteArray());
        }
    }
}
