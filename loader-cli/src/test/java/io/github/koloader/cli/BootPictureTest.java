package io.github.koloader.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Comparator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BootPictureTest {
    @TempDir private Path folder;

    @Test
    void everyCallIsInItsLaneInOrder() throws IOException {
        String html = picture(Run.map("x86_64-prel32"), "");
        assertThat(html).contains("<title>Boot order of x86_64-prel32.map</title>");
        assertThat(all("<section class=\"lane\" id=\"level-(\\w+)\"", html))
                .containsExactly(
                        "console",
                        "early",
                        "pure",
                        "core",
                        "postcore",
                        "arch",
                        "subsys",
                        "fs",
                        "device",
                        "late");
        assertThat(all("<li id=\"c(\\d+)\"", html))
                .hasSize(24)
                .isSortedAccordingTo(Comparator.comparing(Integer::valueOf));
        assertThat(html)
                .contains(
                        "<li id=\"c18\" title=\"#18 drv_b_init · drv_b · device_initcall ·"
                                + " 0xffffffff81003264\">drv_b_init\n")
                .contains("Not known: Initcalls: addresses of 2 functions");
    }

    @Test
    void aLogGivesWidthsResultsAndTheSlowest() throws IOException {
        String html =
                picture(
                        Run.map("x86_64-prel32"),
                        """
                        [    0.200000] calling  drv_a_init+0x0/0x19 @ 1
                        [    0.205031] initcall drv_a_init+0x0/0x19 returned 0 after 5031 usecs
                        calling  drv_b_init+0x0/0x14 @ 1
                        initcall drv_b_init+0x0/0x14 returned -19 after 250 usecs
                        initcall drv_b_init+0x0/0x14 returned with disabled interrupts
                        calling  levels_late+0x0/0x14 @ 1
                        initcall levels_early blacklisted
                        calling  r_init+0x0/0x1000 [retneg] @ 97
                        initcall r_init+0x0/0x1000 [retneg] returned -22 after 3 usecs
                        """);
        assertThat(html)
                .contains(
                        "5.03 ms · returned 0 · pid 1 · at 0.200000 s\">drv_a_init <b>5.03 ms</b>")
                .contains("<li id=\"c18\" class=\"h2 f1\"")
                .contains("drv_b_init <b>250 µs, -19 ENODEV, disabled interrupts</b>")
                .contains("levels_late <b>did not return</b>")
                .contains("levels_early <b>blacklisted</b>")
                .contains("<li id=\"c16\" class=\"n0\"")
                .contains("<li id=\"o1\" class=\"h0 f1\"", "retneg: r_init <b>-22 EINVAL</b>")
                .contains("<a href=\"#c17\" class=\"h3\" style=\"--t:5031;--l:8.52\"")
                .contains("<h2>The slowest 3</h2>");
        assertThat(html.indexOf("<td class=\"f\"><a href=\"#c17\""))
                .isLessThan(html.indexOf("<td class=\"f\"><a href=\"#c18\""));
    }

    @Test
    void nothingIsLoadedFromElsewhereAndOnlyOurScriptMayRun() throws Exception {
        String html = picture(Run.map("x86_64-prel32"), "");
        assertThat(html)
                .doesNotContain("http:", "https:", "//cdn", " src=", "@import", "url(")
                .contains("default-src 'none'");
        assertThat(all("(<script)", html)).hasSize(1);
        assertThat(html)
                .contains("script-src 'sha256-" + hash(all("<script>(.*?)</script>", html)[0]));
    }

    private static String hash(String script) throws NoSuchAlgorithmException {
        return Base64.getEncoder()
                .encodeToString(
                        MessageDigest.getInstance("SHA-256")
                                .digest(script.getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void namesDoNoHarm() throws IOException {
        String name = "<script>alert('1')</script>\"onmouseover=\"x&amp;\u0001\u00e2\u0080\u00ae";
        Path map = folder.resolve("map");
        Files.write(
                map,
                ("c1000000 d __initcall_" + name.replace(" ", "") + "6\n")
                        .getBytes(StandardCharsets.ISO_8859_1));
        String html =
                picture(
                        map.toString(),
                        "calling  "
                                + name
                                + " [<b>m</b>] @ 1\ninitcall "
                                + name
                                + " returned with <i>\n");
        assertThat(html)
                .doesNotContain("<script>alert", "\"onmouseover", "<b>m</b>", "\u202e", "\u0001")
                .contains(
                        "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;onmouseover=&quot;x&amp;amp;\\u{1}\\u{202e}");
    }

    @Test
    void longNamesAreCut() throws IOException {
        Path map = folder.resolve("map");
        Files.writeString(map, "c1000000 d __initcall_" + "n".repeat(1 << 20) + "6\n");
        assertThat(picture(map.toString(), "")).hasSizeLessThan(30_000).contains("nnn…");
    }

    @Test
    void timesBeyondReasonFit() throws IOException {
        String html =
                picture(
                        Run.map("x86_64-prel32"),
                        "initcall drv_a_init returned 0 after 999999999999999999 usecs\n"
                                + "initcall drv_b_init returned 0 after 999999999999999999 usecs\n");
        assertThat(html).contains("2,000,000,000,000 s").doesNotContain("NaN", "Infinity");
    }

    @Test
    void tooManyCallsAreRefused() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 20_001; i++) {
            text.append("%x d __initcall_f%d_6\n".formatted(0x10000 + i, i));
        }
        Path map = Files.writeString(folder.resolve("map"), text);
        Path out = folder.resolve("out.html");
        Run run = Run.of("initcalls", "--html", out.toString(), map.toString());
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err()).contains("20001 calls are too many for a picture");
        assertThat(out).doesNotExist();
    }

    @Test
    void aPictureThatCannotBeWrittenIsOneLine() {
        String out = folder.resolve("no/such.html").toString();
        Run run = Run.of("initcalls", "--html", out, Run.map("x86_64-prel32"));
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.err())
                .isEqualTo("koloader: ERROR: " + out + ": No such file or directory\n");
    }

    private String picture(String map, String log) throws IOException {
        Path out = folder.resolve("boot.html");
        Path dmesg = Files.writeString(folder.resolve("dmesg"), log);
        Run run =
                log.isEmpty()
                        ? Run.of("initcalls", "--html", out.toString(), map)
                        : Run.of(
                                "initcalls",
                                "--log",
                                dmesg.toString(),
                                "--html",
                                out.toString(),
                                map);
        assertThat(run.status()).as(run.err()).isZero();
        return Files.readString(out);
    }

    private static String[] all(String pattern, String text) {
        Matcher matcher = Pattern.compile(pattern, Pattern.DOTALL).matcher(text);
        return matcher.results().map(result -> result.group(1)).toArray(String[]::new);
    }
}
