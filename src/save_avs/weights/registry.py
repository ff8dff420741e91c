"""Pretrained weights that others publish: where to download them, and size, sha256 and license of each."""

from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from save_avs.errors import UsageError
from save_avs.weights.identity import FileIdentity

_FIRST_DOWNLOAD = "no sha256 is published: it is recorded at the first download"


class WeightsFile(BaseModel):
    """One published file; what its publisher does not state is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    url: str  # the publisher's address: http, https, or hf:OWNER/NAME/FILE on the Hugging Face Hub
    size: int | None = None  # bytes
    sha256: str | None = None  # of the complete file
    sha256_prefix: str | None = None  # the first digits of it, where no more is published

    def find_mismatch(self, size: int, sha256: str) -> str | None:
        """Describe how a file of that size and sha256 differs from this one; None if nothing contradicts."""
        if self.size is not None and size != self.size:
            return f"it has {size:,} bytes instead of {self.size:,}"
        if self.sha256 is not None and sha256 != self.sha256:
            return f"its sha256 is {sha256[:12]}... instead of {self.sha256[:12]}..."
        if self.sha256_prefix is not None and not sha256.startswith(self.sha256_prefix):
            actual = sha256[: len(self.sha256_prefix)]
            return f"its sha256 starts with {actual} instead of {self.sha256_prefix}"
        return None


class PretrainedWeights(BaseModel):
    """One set of published weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # as in `save-avs weights fetch NAME`
    description: str
    files: tuple[WeightsFile, ...]  # the file with the weights first
    sha256_source: str = _FIRST_DOWNLOAD  # where the sha256 comes from
    license: str

    @property
    def weights(self) -> WeightsFile:
        """The file that holds the weights."""
        return self.files[0]


@cache
def pretrained_weights() -> dict[str, PretrainedWeights]:
    """Return all published weights, by name."""
    import yaml  # with which most commands need not wait

    text = (files("save_avs") / "weights" / "registry.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where PyYAML has libyaml
    published = map(PretrainedWeights.model_validate, yaml.load(text, Loader=loader))
    return {weights.name: weights for weights in published}


def get_pretrained_weights(name: str) -> PretrainedWeights:
    """Return published weights by name; an unknown name is a UsageError."""
    if name not in pretrained_weights():
        raise UsageError(f"Unknown weights '{name}': choose from {', '.join(pretrained_weights())}")
    return pretrained_weights()[name]


def find_by_sha256(identity: FileIdentity) -> PretrainedWeights | None:
    """Return the published weights that have the sha256 of a file; None if there are none."""
    return next((w for w in pretrained_weights().values() if w.weights.sha256 == identity.sha256), None)
