package io.github.koloader.internal.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class UndoTest {
    private final List<String> done = new ArrayList<>();
    private final Undo undo = new Undo();

    private static void fail(String text) {
        throw new IllegalStateException(text);
    }

    @Test
    void whatWasDoneLastIsTakenBackFirst() {
        undo.add(() -> done.add("first"));
        undo.add(() -> done.add("second"));
        undo.rollBack();
        assertThat(done).containsExactly("second", "first");
    }

    @Test
    void everythingIsTakenBackOnce() {
        undo.add(() -> done.add("it"));
        undo.rollBack();
        undo.rollBack();
        assertThat(done).containsExactly("it");
    }

    @Test
    void aLoadThatHasSucceededTakesNothingBackButWhatAlwaysEnds() {
        undo.add(() -> done.add("memory"));
        undo.always(() -> done.add("copy of the file"));
        undo.commit();
        undo.rollBack();
        assertThat(done).containsExactly("copy of the file");
    }

    @Test
    void pastThePointOfNoReturnOnlyWhatAlwaysEndsIsDone() {
        undo.add(() -> done.add("memory"));
        undo.always(() -> done.add("copy of the file"));
        undo.pastNoReturn();
        undo.rollBack();
        assertThat(done).containsExactly("copy of the file");
    }

    @Test
    void whatThrowsDoesNotKeepTheRestFromBeingTakenBack() {
        undo.always(() -> done.add("last"));
        undo.add(() -> done.add("first"));
        undo.add(() -> fail("one"));
        undo.add(() -> done.add("between"));
        undo.add(() -> fail("two"));
        Throwable thrown = catchThrowable(undo::rollBack);
        assertThat(done).containsExactly("between", "first", "last");
        assertThat(thrown).isInstanceOf(IllegalStateException.class).hasMessage("two");
        assertThat(thrown.getSuppressed()).singleElement().extracting("message").isEqualTo("one");
    }
}
