"""What a recipe is given: the variant to make, room to work in, and the way to hand over a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backends.models.manifest import BuildStage, Lineage, Manifest, Parameter
from backends.models.store import Build, Store
from backends.progress import Progress, ProgressSink
from backends.types import Variant

__all__ = ("Recipe", "RecipeContext")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeContext:
    """One run of one recipe. The variant's lock is held while it lives, so nobody else builds the same thing.

    A recipe fills a fresh `staging()` directory and passes it to `publish`, once or several times: each published
    checkpoint atomically replaces the one before, and whoever serves the variant picks it up. The build counts as
    unfinished, and the recipe is run again at the next start, until a checkpoint was published as `final` or `seal`
    was called. A recipe that can be killed and resumed keeps its state in `work`.
    """

    variant: Variant
    """What to make."""
    store: Store
    """Where builds are kept."""
    work: Path
    """Directory of this variant that survives a killed or failed run; the recipe removes what it no longer needs."""
    sink: ProgressSink
    """Told of progress; `report` is the short way."""
    minutes: float | None
    """How long the recipe may train; None is the recipe's default. Record it as the lineage parameter `minutes`:
    a later run that asks for more continues the build, one that asks for less finds it done."""
    licence: str
    """SPDX identifier of the weights everything is made from."""
    bundled_gguf: Callable[[], Path]
    """The bundled model's file, fetched and verified on first use."""
    require: Callable[[str], Build]
    """The build of another recipe (`dequantize`, `q8_0`), made first where there is none yet: the configured
    variant with that source where there is one. Its `reference` belongs in `Lineage.parents`."""

    def report(self, stage: str, *, done: float = 0.0, message: str = "") -> None:
        """Tell how far a stage is; `done` is its share in [0, 1]."""
        self.sink(Progress(variant=self.variant.name, stage=stage, done=min(max(done, 0.0), 1.0), message=message))

    def staging(self) -> Path:
        """A fresh, empty directory on the store's filesystem; removed with the run unless published."""
        return self.store.staging(self.variant.name)

    def publish(self, directory: Path, *, lineage: Lineage, stage: BuildStage = "final") -> Manifest:
        """Make the files of a staging directory the variant's current build; the directory is consumed.

        Raises:
            DiskFullError: No room; the previous build stays current.
            BuildError: There is no model in the directory.
        """
        return self.store.publish(directory, variant=self.variant, lineage=lineage, stage=stage, licence=self.licence)

    def seal(self, parameters: Mapping[str, Parameter]) -> Manifest:
        """Declare the current build final, for when the last checkpoint was no better; adds lineage parameters.

        Raises:
            BuildError: Nothing was published yet.
        """
        return self.store.seal(self.variant.name, parameters=parameters)


Recipe = Callable[[RecipeContext], None]
"""Makes one variant. Raises BuildError when it cannot, with the previous build untouched."""
