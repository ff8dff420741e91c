"""PANNs' CNN14 at 16 kHz, with the key names of its public checkpoint."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.audio.frontend import PANNS_16K
from save_avs.models.audio.pretrained_backbone import AudioBackbone


class CNN14(AudioBackbone):
    """Six blocks of two 3x3 convolutions: patches [N,1,101,64] -> [N,2048]. 80 M parameters.

    Batch-norm per band; 2x2 average pooling after each block but the last; then the mean over the bands, the
    sum of maximum and mean over time, and one linear layer with ReLU. The classifier is left out, and so are
    dropout and masking, which change nothing in evaluation.

    Source: Kong et al. 2020 (arXiv 1912.10211); key names of qiuqiangkong/audioset_tagging_cnn (MIT).
    """

    title = "PANNs CNN14"
    dim = 2048
    frontend = PANNS_16K
    published_weights = ("cnn14-16k",)
    ignored_prefixes = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.")
    mel_filters_key = "logmel_extractor.melW"

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(self.frontend.mel.n_mels)
        self.conv_block1 = _Block(1, 64)
        self.conv_block2 = _Block(64, 128)
        self.conv_block3 = _Block(128, 256)
        self.conv_block4 = _Block(256, 512)
        self.conv_block5 = _Block(512, 1024)
        self.conv_block6 = _Block(1024, 2048)
        self.fc1 = nn.Linear(2048, self.dim)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed patches, f32 [N,1,101,64] -> [N,2048]."""
        x = self.bn0(log_mel.transpose(1, 3)).transpose(1, 3)
        halved = (self.conv_block1, self.conv_block2, self.conv_block3, self.conv_block4, self.conv_block5)
        for block in halved:
            x = F.avg_pool2d(block(x), 2)
        x = self.conv_block6(x).mean(3)  # [N,2048,3,2] -> [N,2048,3]
        return torch.relu(self.fc1(x.amax(2) + x.mean(2)))


class _Block(nn.Module):
    """Two convolutions, each with batch-norm and ReLU; [N,C,T,F] -> [N,D,T,F]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
