//! The corruptions by name, and how strong they are.

use crate::error::CorruptError;

/// A kind of damage to a picture.
///
/// Fifteen are the common corruptions of ImageNet-C and CIFAR-10-C, four more were published with them for development
/// (Hendrycks and Dietterich 2019, *Benchmarking Neural Network Robustness to Common Corruptions and Perturbations*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Corruption {
    /// Normal noise, the same everywhere.
    GaussianNoise,
    /// The noise of counting light, a Poisson distribution.
    ShotNoise,
    /// Samples that are stuck at black or white.
    ImpulseNoise,
    /// A lens out of focus: every point becomes a disc.
    DefocusBlur,
    /// Frosted glass: neighbouring pixels change places.
    GlassBlur,
    /// The camera moves in a straight line.
    MotionBlur,
    /// The camera moves towards the picture.
    ZoomBlur,
    /// Falling snow, and the whitish light it comes with.
    Snow,
    /// A window covered with ice.
    Frost,
    /// Fog of uneven density.
    Fog,
    /// More light.
    Brightness,
    /// Less contrast.
    Contrast,
    /// The picture is stretched locally, as a rubber sheet.
    ElasticTransform,
    /// Fewer, larger pixels.
    Pixelate,
    /// The artefacts of strong JPEG compression.
    JpegCompression,
    /// Normal noise in proportion to the sample.
    SpeckleNoise,
    /// A normal blur.
    GaussianBlur,
    /// Drops of water or mud on the lens.
    Spatter,
    /// Colours too pale or too strong.
    Saturate,
}

/// The four kinds of corruptions.
///
/// As in ImageNet-C; its four extra corruptions are counted where their like are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Family {
    /// gaussian_noise, shot_noise, impulse_noise, speckle_noise.
    Noise,
    /// defocus_blur, glass_blur, motion_blur, zoom_blur, gaussian_blur.
    Blur,
    /// snow, frost, fog, brightness, spatter.
    Weather,
    /// contrast, elastic_transform, pixelate, jpeg_compression, saturate.
    Digital,
}

impl Family {
    /// All four.
    pub const ALL: [Family; 4] = [Family::Noise, Family::Blur, Family::Weather, Family::Digital];

    /// The name in lower case: `noise`, `blur`, `weather`, `digital`.
    pub fn name(self) -> &'static str {
        match self {
            Family::Noise => "noise",
            Family::Blur => "blur",
            Family::Weather => "weather",
            Family::Digital => "digital",
        }
    }
}

use Corruption::*;

impl Corruption {
    /// All of them, the fifteen common ones first, in the order of the publication.
    pub const ALL: [Corruption; 19] = [
        GaussianNoise,
        ShotNoise,
        ImpulseNoise,
        DefocusBlur,
        GlassBlur,
        MotionBlur,
        ZoomBlur,
        Snow,
        Frost,
        Fog,
        Brightness,
        Contrast,
        ElasticTransform,
        Pixelate,
        JpegCompression,
        SpeckleNoise,
        GaussianBlur,
        Spatter,
        Saturate,
    ];

    /// The fifteen over which the benchmarks average.
    pub const COMMON: [Corruption; 15] = [
        GaussianNoise,
        ShotNoise,
        ImpulseNoise,
        DefocusBlur,
        GlassBlur,
        MotionBlur,
        ZoomBlur,
        Snow,
        Frost,
        Fog,
        Brightness,
        Contrast,
        ElasticTransform,
        Pixelate,
        JpegCompression,
    ];

    /// The four published for development.
    pub const EXTRA: [Corruption; 4] = [SpeckleNoise, GaussianBlur, Spatter, Saturate];

    /// The name that the published data sets and `imagecorruptions` use, such as `gaussian_noise`.
    pub fn name(self) -> &'static str {
        match self {
            GaussianNoise => "gaussian_noise",
            ShotNoise => "shot_noise",
            ImpulseNoise => "impulse_noise",
            DefocusBlur => "defocus_blur",
            GlassBlur => "glass_blur",
            MotionBlur => "motion_blur",
            ZoomBlur => "zoom_blur",
            Snow => "snow",
            Frost => "frost",
            Fog => "fog",
            Brightness => "brightness",
            Contrast => "contrast",
            ElasticTransform => "elastic_transform",
            Pixelate => "pixelate",
            JpegCompression => "jpeg_compression",
            SpeckleNoise => "speckle_noise",
            GaussianBlur => "gaussian_blur",
            Spatter => "spatter",
            Saturate => "saturate",
        }
    }

    /// The corruption of this [`name`](Corruption::name); `None` for any other text.
    pub fn from_name(name: &str) -> Option<Corruption> {
        Corruption::ALL.into_iter().find(|corruption| corruption.name() == name)
    }

    /// What kind of corruption it is.
    pub fn family(self) -> Family {
        match self {
            GaussianNoise | ShotNoise | ImpulseNoise | SpeckleNoise => Family::Noise,
            DefocusBlur | GlassBlur | MotionBlur | ZoomBlur | GaussianBlur => Family::Blur,
            Snow | Frost | Fog | Brightness | Spatter => Family::Weather,
            Contrast | ElasticTransform | Pixelate | JpegCompression | Saturate => Family::Digital,
        }
    }

    /// Whether the result depends on the random stream, and so on seed and index.
    pub fn is_random(self) -> bool {
        !matches!(
            self,
            DefocusBlur
                | ZoomBlur
                | Brightness
                | Contrast
                | Pixelate
                | JpegCompression
                | GaussianBlur
                | Saturate
        )
    }

    /// The number that stands for it in the random stream's key; never to be changed, or bytes change.
    pub(crate) fn number(self) -> u8 {
        match self {
            GaussianNoise => 1,
            ShotNoise => 2,
            ImpulseNoise => 3,
            DefocusBlur => 4,
            GlassBlur => 5,
            MotionBlur => 6,
            ZoomBlur => 7,
            Snow => 8,
            Frost => 9,
            Fog => 10,
            Brightness => 11,
            Contrast => 12,
            ElasticTransform => 13,
            Pixelate => 14,
            JpegCompression => 15,
            SpeckleNoise => 16,
            GaussianBlur => 17,
            Spatter => 18,
            Saturate => 19,
        }
    }
}

/// How strong a corruption is: 1, barely noticed, to 5, severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Severity(u8);

impl Severity {
    /// All five, the mildest first.
    pub const ALL: [Severity; 5] =
        [Severity(1), Severity(2), Severity(3), Severity(4), Severity(5)];

    /// The severity of this number, 1 to 5.
    ///
    /// # Errors
    ///
    /// If it is another number.
    pub fn new(severity: u8) -> Result<Severity, CorruptError> {
        match severity {
            1..=5 => Ok(Severity(severity)),
            found => Err(CorruptError::Severity { found }),
        }
    }

    /// Its number, 1 to 5.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Its place in a table of five.
    pub(crate) fn row(self) -> usize {
        usize::from(self.0) - 1
    }
}
