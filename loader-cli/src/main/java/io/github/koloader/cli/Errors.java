package io.github.koloader.cli;

import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;

/** Says in one line what went wrong. */
final class Errors {
    private Errors() {}

    static String describe(Exception error) {
        if (error instanceof NoSuchFileException missing) {
            return missing.getFile() + ": No such file or directory";
        }
        if (error instanceof AccessDeniedException denied) {
            return denied.getFile() + ": Permission denied";
        }
        String message = error.getMessage();
        return message == null ? error.getClass().getSimpleName() : message;
    }
}
