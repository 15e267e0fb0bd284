package io.github.koloader.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * The README's Java is the examples' Java. Above each block of Java stands the class it is from,
 * {@code <!-- FirstModule -->}; in the class, {@code // README start} and {@code // README end}
 * stand around its lines.
 */
class ReadmeTest {
    private static final Pattern BLOCK =
            Pattern.compile(
                    "(?:<!-- *(\\w+) *-->\\s*)?^```java\\n(.*?)^```$",
                    Pattern.MULTILINE | Pattern.DOTALL);

    @Test
    void everyJavaBlockOfTheReadmeIsTheMarkedRegionOfItsClass() throws IOException {
        List<String> classes = new ArrayList<>();
        Matcher block = BLOCK.matcher(Files.readString(Path.of("..", "README.md")));
        while (block.find()) {
            assertThat(block.group(1)).as("class of the block%n%s", block.group(2)).isNotNull();
            assertThat(block.group(2)).isEqualTo(region(block.group(1)));
            classes.add(block.group(1));
        }
        assertThat(classes).contains("FirstModule");
    }

    /** The lines between the marks, without the indentation that all have. */
    private static String region(String example) throws IOException {
        Path source = Path.of("src/main/java/io/github/koloader/examples", example + ".java");
        String text = Files.readString(source);
        int start = text.indexOf("// README start\n");
        int end = text.indexOf("// README end\n");
        assertThat(start).as("start mark in %s", source).isNotNegative();
        assertThat(end).as("end mark in %s", source).isGreaterThan(start);
        String lines = text.substring(text.indexOf('\n', start) + 1, text.lastIndexOf('\n', end));
        return lines.stripIndent() + "\n";
    }
}
