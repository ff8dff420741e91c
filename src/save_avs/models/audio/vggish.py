"""VGGish, with the key names of the public PyTorch checkpoint."""

from torch import Tensor, nn

from save_avs.audio.frontend import VGGISH
from save_avs.models.audio.pretrained_backbone import AudioBackbone


class VGGish(AudioBackbone):
    """Eleven-layer VGG over log-mel patches: [N,1,96,64] -> [N,128], raw (no PCA, no quantizing).

    Six 3x3 convolutions (64 | 128 | 256, 256 | 512, 512) with a 2x2 max-pool after each group leave
    [N,512,6,4]; three linear layers (4096, 4096, 128) follow; a ReLU after every layer. 72 M parameters.

    Source: Hershey et al. 2017 (arXiv 1609.09430); key names of harritaylor/torchvggish (Apache-2.0).
    """

    title = "VGGish"
    dim = 128
    frontend = VGGISH
    published_weights = ("vggish",)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for group in ((64,), (128,), (256, 256), (512, 512)):
            for width in group:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, self.dim),
            nn.ReLU(inplace=True),
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed patches, f32 [N,1,96,64] -> [N,128]."""
        maps = self.features(log_mel)  # [N,512,6,4]
        # The weights come from TensorFlow, which flattens with channels last.
        return self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
