"""The weights that are published elsewhere: where they lie, and what is known of each file.

No hash here is our own: what a publisher does not tell stays None, and is recorded when a file is first
fetched (see ``cache``).
"""

from __future__ import annotations

from dataclasses import dataclass

from save_avs.errors import UsageError
from save_avs.weights.identity import FileIdentity

_META = "https://dl.fbaipublicfiles.com/segment_anything/"
_HUB = "https://huggingface.co/{repository}/resolve/main/{file}"
_VGGISH = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
_YAMNET = "https://github.com/w-hc/torch_audioset/releases/download/v0.1/"
_ZENODO = "https://zenodo.org/records/{record}/files/{file}?download=1"
_OPENL3 = "https://github.com/torchopenl3/torchopenl3-models/raw/master/"
_MANIFEST = "sha256 from a third party's manifest, not from the publisher"
_CHECKED = "sha256 from third parties whose copy had the publisher's MD5"
_FIRST = "no sha256 is published: it is recorded at the first download"
_PREFIX = "of the sha256 only the eight digits in the file's name are published"


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One published file; what is not known of it is None.

    Attributes:
        file: its name.
        url: where its publisher has it.
        size: bytes.
        sha256: of the whole file.
        sha256_prefix: the first digits of it, where no more is known.
    """

    file: str
    url: str
    size: int | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None

    def find_mismatch(self, size: int, sha256: str) -> str | None:
        """What shows that a file of that size and hash is not this one; None where nothing does."""
        if self.size is not None and size != self.size:
            return f"it has {size:,} bytes instead of {self.size:,}"
        if self.sha256 is not None and sha256 != self.sha256:
            return f"its sha256 is {sha256[:12]}... instead of {self.sha256[:12]}..."
        if self.sha256_prefix is not None and not sha256.startswith(self.sha256_prefix):
            return (
                f"its sha256 starts with {sha256[: len(self.sha256_prefix)]} instead of {self.sha256_prefix}"
            )
        return None


@dataclass(frozen=True, kw_only=True)
class PretrainedWeights:
    """One set of published weights.

    Attributes:
        name: what `save-avs weights fetch` calls it.
        description: what it is, in a few words.
        files: the weights first; all of them make it whole.
        sha256_source: where the sha256 comes from.
        license: the publisher's.
    """

    name: str
    description: str
    files: tuple[WeightsFile, ...]
    sha256_source: str
    license: str

    @property
    def weights(self) -> WeightsFile:
        """The file that holds the weights."""
        return self.files[0]


def _meta(size: str, file: str, length: int, sha256: str) -> PretrainedWeights:
    return PretrainedWeights(
        name=f"sam-vit-{size}",
        description=f"SAM ViT-{size.upper()}, Meta's checkpoint",
        files=(WeightsFile(file=file, url=_META + file, size=length, sha256=sha256),),
        sha256_source=_MANIFEST,
        license="Apache-2.0",
    )


def _hub(size: str, repository: str) -> PretrainedWeights:
    files = ("model.safetensors", "config.json")
    return PretrainedWeights(
        name=f"sam-vit-{size}-hf",
        description=f"SAM ViT-{size.upper()}, {repository} on the Hugging Face hub",
        files=tuple(WeightsFile(file=f, url=_HUB.format(repository=repository, file=f)) for f in files),
        sha256_source=_FIRST,
        license="Apache-2.0",
    )


def _openl3(content: str, bands: str, width: str) -> PretrainedWeights:
    file = f"torchopenl3_{bands}_{content}_{width}.pth.tar"
    what = {"env": "environmental sound", "music": "music"}[content]
    return PretrainedWeights(
        name=f"openl3-{content}-{bands}-{width}",
        description=f"OpenL3 trained on {what}, {bands}, {width}-d, torchopenl3's checkpoint",
        files=(WeightsFile(file=file, url=_OPENL3 + file),),
        sha256_source=_FIRST,
        license="Apache-2.0",
    )


PRETRAINED_WEIGHTS: dict[str, PretrainedWeights] = {
    known.name: known
    for known in (
        _meta(
            "b",
            "sam_vit_b_01ec64.pth",
            375_042_383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        _meta(
            "l",
            "sam_vit_l_0b3195.pth",
            1_249_524_607,
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        _meta(
            "h",
            "sam_vit_h_4b8939.pth",
            2_564_550_879,
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
        _hub("b", "facebook/sam-vit-base"),
        _hub("l", "facebook/sam-vit-large"),
        _hub("h", "facebook/sam-vit-huge"),
        PretrainedWeights(
            name="vggish",
            description="VGGish, torchvggish's checkpoint",
            files=(
                WeightsFile(
                    file="vggish-10086976.pth",
                    url=_VGGISH + "vggish-10086976.pth",
                    size=288_567_937,
                    sha256_prefix="10086976",
                ),
            ),
            sha256_source=_PREFIX,
            license="Apache-2.0",
        ),
        PretrainedWeights(
            name="cnn14-16k",
            description="PANNs CNN14 at 16 kHz, the authors' checkpoint",
            files=(
                WeightsFile(
                    file="Cnn14_16k_mAP=0.438.pth",
                    url=_ZENODO.format(record=3987831, file="Cnn14_16k_mAP%3D0.438.pth"),
                    sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
                ),
            ),
            sha256_source=_CHECKED,
            license="CC-BY-4.0",
        ),
        PretrainedWeights(
            name="yamnet",
            description="YAMNet, torch_audioset's checkpoint",
            files=(WeightsFile(file="yamnet.pth", url=_YAMNET + "yamnet.pth"),),
            sha256_source=_FIRST,
            license="Apache-2.0",
        ),
        *(
            _openl3(content, bands, width)
            for bands in ("mel128", "mel256")
            for width in ("512", "6144")
            for content in ("env", "music")
        ),
    )
}


def known(name: str) -> PretrainedWeights:
    """Published weights by name.

    Raises:
        UsageError: when none has that name.
    """
    if name not in PRETRAINED_WEIGHTS:
        raise UsageError(
            f"no known weights are called '{name}': choose one of {', '.join(PRETRAINED_WEIGHTS)}"
        )
    return PRETRAINED_WEIGHTS[name]


def find_by_sha256(identity: FileIdentity) -> PretrainedWeights | None:
    """The published weights that a file must be, told by its whole sha256; None where none is."""
    return next((k for k in PRETRAINED_WEIGHTS.values() if k.weights.sha256 == identity.sha256), None)
