using Lamina.Compute.Gguf;

namespace Lamina.Compute.Gpu.Weights;

/// <summary>
/// How many bytes each plane of a format takes per unit of a row (<see cref="Code.MatrixView"/>): quantised formats lie as 32 elements a unit, their nibbles or bytes apart from
/// their scales, so that a thread loads sixteen bytes at once; floats lie as 8 elements a unit.
/// </summary>
/// <param name="Type">As what the weights lie on the device: the file's type, or F16 for types without a format of their own.</param>
/// <param name="Elements">Of a unit.</param>
/// <param name="QuantBytes">Of a unit.</param>
/// <param name="HighBytes">Of a unit.</param>
/// <param name="ScaleUnits">Units that share scales.</param>
/// <param name="ScaleBytes">Of so many units.</param>
internal readonly record struct GpuLayout(GgmlType Type, int Elements, int QuantBytes, int HighBytes, int ScaleUnits, int ScaleBytes)
{
    public bool IsQuantised => Elements == 32;

    public static GpuLayout Of(GgmlType type) => type switch
    {
        GgmlType.F32 => new(type, 8, 32, 0, 1, 0),
        GgmlType.BF16 => new(type, 8, 16, 0, 1, 0),
        GgmlType.Q4_0 or GgmlType.MXFP4 => new(type, 32, 16, 0, 1, 2),
        GgmlType.Q8_0 => new(type, 32, 32, 0, 1, 2),
        GgmlType.Q4_K => new(type, 32, 16, 0, 8, 2 * Code.FormatQ4_K.SuperScales),
        GgmlType.Q5_K => new(type, 32, 16, 4, 8, 2 * Code.FormatQ4_K.SuperScales),
        GgmlType.Q6_K => new(type, 32, 16, 8, 8, 2 * Code.FormatQ6_K.SuperScales),
        GgmlType.IQ4_XS => new(type, 32, 16, 0, 8, 2 * Code.FormatIQ4_XS.SuperScales),
        _ => new(GgmlType.F16, 8, 16, 0, 1, 0),
    };

    public long Units(long columns) => (columns + Elements - 1) / Elements;

    public long QuantPlane(long rows, long columns) => checked(rows * Units(columns) * QuantBytes);

    public long HighPlane(long rows, long columns) => checked(rows * Units(columns) * HighBytes);

    public long ScalePlane(long rows, long columns) => checked(rows * (Units(columns) / ScaleUnits) * ScaleBytes);

    /// <summary>Device memory of a matrix: every plane starts on 256 bytes.</summary>
    public long Bytes(long rows, long columns) => Aligned(QuantPlane(rows, columns)) + Aligned(HighPlane(rows, columns)) + Aligned(ScalePlane(rows, columns));

    public static long Aligned(long bytes) => (bytes + 255) / 256 * 256;
}
