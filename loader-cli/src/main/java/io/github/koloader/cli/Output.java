package io.github.koloader.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.koloader.LoadException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;

/**
 * Standard output and standard error of a command. Text of modules and of the kernel's log is one
 * character a byte, and goes out as those bytes; text that came in as arguments goes through {@link
 * #bytesOf} first.
 */
final class Output {
    private static final Charset ARGUMENTS = argumentCharset();

    private final OutputStream out;
    private final OutputStream err;

    Output(OutputStream out, OutputStream err) {
        this.out = new BufferedOutputStream(out, 1 << 16);
        this.err = err;
    }

    /** How the JVM has decoded the arguments and decodes file names. */
    private static Charset argumentCharset() {
        String name = System.getProperty("sun.jnu.encoding", "");
        return !name.isEmpty() && Charset.isSupported(name)
                ? Charset.forName(name)
                : Charset.defaultCharset();
    }

    /** The bytes of an argument or a file name, one character each. */
    static String bytesOf(String argument) {
        return new String(argument.getBytes(ARGUMENTS), ISO_8859_1);
    }

    /** A name out of a file, fit for a line: control characters as {@code \\x1b}. */
    static String printable(String name) {
        if (name.chars().allMatch(c -> c >= ' ' && c != 0x7f)) {
            return name;
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            text.append(c >= ' ' && c != 0x7f ? String.valueOf(c) : "\\x%02x".formatted((int) c));
        }
        return text.toString();
    }

    /** Text of one character a byte as Java text: decoded as UTF-8 if it is, else as ISO 8859-1. */
    static String decode(String bytes) {
        try {
            return UTF_8.newDecoder()
                    .decode(ByteBuffer.wrap(bytes.getBytes(ISO_8859_1)))
                    .toString();
        } catch (CharacterCodingException e) {
            return bytes; // as the comment says
        }
    }

    /** Java text as the bytes of UTF-8, one character each. */
    static String utf8(String text) {
        return new String(text.getBytes(UTF_8), ISO_8859_1);
    }

    /** What a failure means, for people, as the bytes of UTF-8, indented; begins with its errno. */
    static String explained(LoadException e) {
        String diagnosis = e.diagnosis().toString();
        String text = e.isDiagnosed() ? e.errnoName() + ": " + diagnosis : diagnosis;
        return utf8(text).indent(2).stripTrailing();
    }

    /** Writes text, one byte a character. */
    void print(String text) {
        print(text.getBytes(ISO_8859_1));
    }

    /** Writes bytes. */
    void print(byte[] bytes) {
        try {
            out.write(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Writes a line to standard error, after what standard output got so far; one byte a character.
     */
    void error(String line) {
        flush();
        errorAlone(line);
    }

    /** As {@link #error}, when standard output is beyond help. */
    void errorAlone(String line) {
        try {
            err.write((line + "\n").getBytes(ISO_8859_1));
            err.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void flush() {
        try {
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Standard output for Java text, such as help. */
    PrintWriter outWriter() {
        return new PrintWriter(new OutputStreamWriter(out, ARGUMENTS), true);
    }

    /** Standard error for Java text. */
    PrintWriter errWriter() {
        return new PrintWriter(new OutputStreamWriter(err, ARGUMENTS), true);
    }
}
