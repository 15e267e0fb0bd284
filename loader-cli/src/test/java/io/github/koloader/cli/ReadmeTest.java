package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * The README's output is the commands' output. Above a block stands {@code <!-- output of
 * ./koloader … -->}; a line {@code …} in it stands for any number of lines.
 */
class ReadmeTest {
    private static final Pattern BLOCK =
            Pattern.compile("<!-- output of \\./koloader (.+) -->\n```\n([^`]*)```\n");

    @Test
    void outputInTheReadmeIsWhatTheCommandsPrint() throws IOException {
        List<String> commands = new ArrayList<>();
        Matcher block = BLOCK.matcher(Files.readString(Path.of("..", "README.md")));
        while (block.find()) {
            String[] arguments =
                    block.group(1).replaceAll("(?<= )loader-elf/", "../loader-elf/").split(" ");
            String out = Run.of(arguments).out();
            String expected =
                    ("\n" + block.group(2)).replace("\n…\n", "\n\\E(?:.*\n)*\\Q").substring(1);
            assertThat(
                            new String(
                                    out.getBytes(StandardCharsets.ISO_8859_1),
                                    StandardCharsets.UTF_8))
                    .as(block.group(1))
                    .matches("\\Q" + expected + "\\E");
            commands.add(arguments[0]);
        }
        assertThat(commands).contains("initcalls", "diff-initcalls");
    }
}
