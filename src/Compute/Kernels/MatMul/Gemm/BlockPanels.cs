using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

internal readonly unsafe struct PanelQ4_0 : IPanelFormat
{
    public static int UnitVectors => 9;
    public static int UnitsPerPanel => 4;
    public static bool SuperBlock => false;
    public static bool Wide => false;
    public static int FoldQuads => 8;
    public static int Offset => 8;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        byte* quads = panel + (unit * 16 * 64), d = panel + WeightPanel.D + (unit * 128);
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), d, d + 64);
        PanelParts.Nibbles<TSimd, V>(weights + 64, 4, quads, quads + 256);
        PanelParts.Nibbles<TSimd, V>(weights + 320, 4, quads + 512, quads + 768);
    }
}

internal readonly unsafe struct PanelQ4_1 : IPanelFormat
{
    public static int UnitVectors => 5;
    public static int UnitsPerPanel => 8;
    public static bool SuperBlock => false;
    public static bool Wide => false;
    public static int FoldQuads => 8;
    public static int Offset => 0;
    public static int MinVectors => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        byte* quads = panel + (unit * 8 * 64);
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), panel + WeightPanel.D + (unit * 64), panel + WeightPanel.M + (unit * 64));
        PanelParts.Nibbles<TSimd, V>(weights + 64, 4, quads, quads + 256);
    }
}

internal readonly unsafe struct PanelQ5_0 : IPanelFormat
{
    public static int UnitVectors => 11;
    public static int UnitsPerPanel => 4;
    public static bool SuperBlock => false;
    public static bool Wide => false;
    public static int FoldQuads => 8;
    public static int Offset => 16;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        byte* quads = panel + (unit * 16 * 64), d = panel + WeightPanel.D + (unit * 128);
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), d, d + 64);
        for (int b = 0; b < 2; b++, weights += 320, quads += 512)
        {
            PanelParts.Nibbles<TSimd, V>(weights + 128, 4, quads, quads + 256);
            PanelParts.FifthBits<TSimd, V>(TSimd.Load(weights + 64), quads);
        }
    }
}

internal readonly unsafe struct PanelQ5_1 : IPanelFormat
{
    public static int UnitVectors => 6;
    public static int UnitsPerPanel => 8;
    public static bool SuperBlock => false;
    public static bool Wide => false;
    public static int FoldQuads => 4;
    public static int Offset => 0;
    public static int MinVectors => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        byte* quads = panel + (unit * 8 * 64);
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), panel + WeightPanel.D + (unit * 64), panel + WeightPanel.M + (unit * 64));
        PanelParts.Nibbles<TSimd, V>(weights + 128, 4, quads, quads + 256);
        PanelParts.FifthBits<TSimd, V>(TSimd.Load(weights + 64), quads);
    }
}

internal readonly unsafe struct PanelQ8_0 : IPanelFormat
{
    public static int UnitVectors => 17;
    public static int UnitsPerPanel => 4;
    public static bool SuperBlock => false;
    public static bool Wide => true;
    public static int FoldQuads => 8;
    public static int Offset => 0;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        byte* d = panel + WeightPanel.D + (unit * 128);
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), d, d + 64);
        for (int q = 0; q < 16; q++)
        {
            PanelParts.StoreWide<TSimd, V>(TSimd.Load(weights + 64 + (q * 64)), panel, (unit * 16) + q);
        }
    }
}

internal readonly unsafe struct PanelIQ4_NL : IPanelFormat
{
    public static int UnitVectors => 9;
    public static int UnitsPerPanel => 4;
    public static bool SuperBlock => false;
    public static bool Wide => true;
    public static int FoldQuads => 8;
    public static int Offset => 0;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        byte* d = panel + WeightPanel.D + (unit * 128);
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), d, d + 64);
        V table = Table<TSimd, V>();
        PanelParts.LookupWide<TSimd, V>(weights + 64, table, TSimd.Broadcast(0x00010001), panel, unit * 16);
        PanelParts.LookupWide<TSimd, V>(weights + 320, table, TSimd.Broadcast(0x00010001), panel, (unit * 16) + 8);
    }

    /// <summary>The sixteen values of the non-linear 4-bit types, as bytes: -127, -104, -83, ... 113.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Table<TSimd, V>() where TSimd : ISimd<V> where V : struct =>
        TSimd.Repeat16(unchecked((long)0xF6EA_DDCF_BFAD_9881UL), 0x7159_4535_2619_0D01L);
}

internal readonly unsafe struct PanelMXFP4 : IPanelFormat
{
    public static int UnitVectors => 17;
    public static int UnitsPerPanel => 2;
    public static bool SuperBlock => false;
    public static bool Wide => false;
    public static int FoldQuads => 8;
    public static int Offset => 12;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        // Twice the E2M1 values and 12: 12, 13, 14, 15, 16, 18, 20, 24, then downwards.
        V table = TSimd.Repeat16(0x1814_1210_0F0E_0D0CL, 0x0004_0608_090A_0B0CL), mask = TSimd.Broadcast(0x0F0F0F0F);
        byte* quads = panel + (unit * 32 * 64);
        for (int b = 0; b < 4; b++, quads += 512)
        {
            float* d = (float*)(panel + WeightPanel.D + (((unit * 4) + b) * 64));
            for (int lane = 0; lane < TSimd.Bytes / 4; lane++)
            {
                d[lane] = RowDecoder.ExponentScale(weights[(lane * 4) + b]);
            }

            for (int i = 0; i < 4; i++)
            {
                V w = TSimd.Load(weights + 64 + (b * 256) + (i * 64));
                TSimd.Store(quads + (i * 64), TSimd.Lookup(table, TSimd.And(w, mask)));
                TSimd.Store(quads + 256 + (i * 64), TSimd.Lookup(table, TSimd.And(TSimd.ShiftRight16(w, 4), mask)));
            }
        }
    }
}
