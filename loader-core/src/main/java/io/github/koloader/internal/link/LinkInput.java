package io.github.koloader.internal.link;

import static java.util.Objects.requireNonNull;

import io.github.koloader.BuiltIn;
import io.github.koloader.image.ModuleImage;
import java.util.Optional;

/** One thing to link. */
public sealed interface LinkInput {
    /** What messages call it. */
    String name();

    /**
     * A relocatable object.
     *
     * @param name what messages call it
     * @param module the module that it is part of, if that was given
     * @param image what is in it
     */
    record ObjectInput(String name, Optional<String> module, ModuleImage image)
            implements LinkInput {
        /** Checks for nulls. */
        public ObjectInput {
            requireNonNull(name);
            requireNonNull(module);
            requireNonNull(image);
        }

        /** The module that it is part of; if it was not given, the name of the file is. */
        String moduleName() {
            boolean member = name.endsWith(")"); // of an archive: built-in.a(loop.o)
            String whole = member ? name.substring(0, name.length() - 1) : name;
            String file =
                    whole.substring(Math.max(whole.lastIndexOf('/'), whole.lastIndexOf('(')) + 1);
            return module.orElseGet(
                    () ->
                            (file.endsWith(".o") ? file.substring(0, file.length() - 2) : file)
                                    .replace('-', '_')
                                    .replace(',', '_'));
        }
    }

    /**
     * A function that is Java.
     *
     * @param builtIn the function
     */
    record JavaInput(BuiltIn builtIn) implements LinkInput {
        /** Checks for nulls. */
        public JavaInput {
            requireNonNull(builtIn);
        }

        @Override
        public String name() {
            return builtIn.name();
        }
    }
}
