"""The same job with the usual Python packages: Grad-CAM of a SqueezeNet 1.1 on one picture.

One map instead of three, random weights (reading them costs the same), called by cold_start.py.
"""

import sys

import numpy as np
import torch
import torchvision
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from torchvision import transforms as T

picture, out = sys.argv[1:]
torch.set_num_threads(2)
net = torchvision.models.squeezenet1_1(weights=None).eval()
crop = T.Compose([T.Resize(256), T.CenterCrop(224)])(Image.open(picture).convert("RGB"))
x = T.Compose([T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])(crop)[None]
with GradCAM(model=net, target_layers=[net.features[12]]) as cam:
    heat = cam(input_tensor=x)[0]
Image.fromarray(show_cam_on_image(np.asarray(crop, dtype=np.float32) / 255, heat, use_rgb=True)).save(out)
