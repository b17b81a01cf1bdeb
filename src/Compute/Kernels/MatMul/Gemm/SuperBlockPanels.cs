using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

internal readonly unsafe struct PanelQ4_K : IPanelFormat
{
    public static int UnitVectors => 36;
    public static int UnitsPerPanel => 1;
    public static bool SuperBlock => true;
    public static bool Wide => false;
    public static int FoldQuads => 8;
    public static int Offset => 0;
    public static int MinVectors => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), panel + WeightPanel.D, panel + WeightPanel.M);
        PanelParts.ScalesAndMins<TSimd, V>(weights + 64, panel, copies: 1);
        for (int chunk = 0; chunk < 4; chunk++)
        {
            PanelParts.Nibbles<TSimd, V>(weights + 256 + (chunk * 512), 8, panel + (chunk * 1024), panel + (chunk * 1024) + 512);
        }
    }
}

internal readonly unsafe struct PanelQ5_K : IPanelFormat
{
    public static int UnitVectors => 44;
    public static int UnitsPerPanel => 1;
    public static bool SuperBlock => true;
    public static bool Wide => false;
    public static int FoldQuads => 4;
    public static int Offset => 0;
    public static int MinVectors => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights), panel + WeightPanel.D, panel + WeightPanel.M);
        PanelParts.ScalesAndMins<TSimd, V>(weights + 64, panel, copies: 2);
        V four = TSimd.Broadcast(0x0F0F0F0F), sixteen = TSimd.Broadcast(0x10101010);
        for (int i = 0; i < 8; i++)
        {
            V fifth = TSimd.Load(weights + 256 + (i * 64));
            for (int chunk = 0; chunk < 4; chunk++)
            {
                V w = TSimd.Load(weights + 768 + (chunk * 512) + (i * 64));
                byte* quad = panel + (chunk * 1024) + (i * 64);
                TSimd.Store(quad, TSimd.Or(TSimd.And(w, four), TSimd.And(TSimd.ShiftLeft16(fifth, 4), sixteen)));
                TSimd.Store(quad + 512, TSimd.Or(TSimd.And(TSimd.ShiftRight16(w, 4), four), TSimd.And(TSimd.ShiftLeft16(fifth, 3), sixteen)));
                // Bits move across bytes, but those that the mask picks have at most seven places to go and stay within theirs.
                fifth = TSimd.ShiftRight16(fifth, 2);
            }
        }
    }
}

internal readonly unsafe struct PanelQ6_K : IPanelFormat
{
    public static int UnitVectors => 53;
    public static int UnitsPerPanel => 1;
    public static bool SuperBlock => true;
    public static bool Wide => false;
    public static int FoldQuads => 4;
    public static int Offset => 32;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        TSimd.Store(panel + WeightPanel.D, TSimd.HalfLow(TSimd.Load(weights + 256)));
        for (int s = 0; s < 4; s++)
        {
            V scales = TSimd.Load(weights + (s * 64));
            for (int i = 0; i < 4; i++)
            {
                TSimd.Store(panel + WeightPanel.Scales + (s * 256) + (i * 64), GemvParts.ScalePair<TSimd, V>(scales, 0));
                scales = TSimd.ShiftRight32(scales, 8);
            }
        }

        V four = TSimd.Broadcast(0x0F0F0F0F), two = TSimd.Broadcast(0x30303030);
        weights += 320;
        for (int turn = 0; turn < 4; turn++, weights += 768)
        {
            for (int i = 0; i < 4; i++)
            {
                byte* quad = panel + (turn / 2 * 2048) + (turn % 2 * 256) + (i * 64);
                V l0 = TSimd.Load(weights + (i * 64)), l1 = TSimd.Load(weights + 256 + (i * 64)), h = TSimd.Load(weights + 512 + (i * 64));
                TSimd.Store(quad, TSimd.Or(TSimd.And(l0, four), TSimd.And(TSimd.ShiftLeft16(h, 4), two)));
                TSimd.Store(quad + 512, TSimd.Or(TSimd.And(l1, four), TSimd.And(TSimd.ShiftLeft16(h, 2), two)));
                TSimd.Store(quad + 1024, TSimd.Or(TSimd.And(TSimd.ShiftRight16(l0, 4), four), TSimd.And(h, two)));
                TSimd.Store(quad + 1536, TSimd.Or(TSimd.And(TSimd.ShiftRight16(l1, 4), four), TSimd.And(TSimd.ShiftRight16(h, 2), two)));
            }
        }
    }
}

internal readonly unsafe struct PanelQ2_K : IPanelFormat
{
    public static int UnitVectors => 21;
    public static int UnitsPerPanel => 1;
    public static bool SuperBlock => true;
    public static bool Wide => false;
    public static int FoldQuads => 4;
    public static int Offset => 0;
    public static int MinVectors => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        PanelParts.Halves<TSimd, V>(TSimd.Load(weights + 1280), panel + WeightPanel.D, panel + WeightPanel.M);
        V four = TSimd.Broadcast(0x0F0F0F0F);
        for (int s = 0; s < 4; s++)
        {
            V packed = TSimd.Load(weights + (s * 64));
            V scales = TSimd.And(packed, four), mins = TSimd.And(TSimd.ShiftRight16(packed, 4), four);
            TSimd.Store(panel + WeightPanel.Mins + (s * 128), GemvParts.UnsignedNeighbours<TSimd, V>(mins, 0));
            TSimd.Store(panel + WeightPanel.Mins + (s * 128) + 64, GemvParts.UnsignedNeighbours<TSimd, V>(mins, 2));
            for (int i = 0; i < 4; i++)
            {
                TSimd.Store(panel + WeightPanel.Scales + (s * 256) + (i * 64), GemvParts.UnsignedPair<TSimd, V>(scales, 0));
                scales = TSimd.ShiftRight32(scales, 8);
            }
        }

        V two = TSimd.Broadcast(0x03030303);
        for (int i = 0; i < 16; i++)
        {
            V w = TSimd.Load(weights + 256 + (i * 64));
            byte* quad = panel + (i / 8 * 2048) + (i % 8 * 64);
            TSimd.Store(quad, TSimd.And(w, two));
            TSimd.Store(quad + 512, TSimd.And(TSimd.ShiftRight16(w, 2), two));
            TSimd.Store(quad + 1024, TSimd.And(TSimd.ShiftRight16(w, 4), two));
            TSimd.Store(quad + 1536, TSimd.And(TSimd.ShiftRight16(w, 6), two));
        }
    }
}

internal readonly unsafe struct PanelQ3_K : IPanelFormat
{
    public static int UnitVectors => 28;
    public static int UnitsPerPanel => 1;
    public static bool SuperBlock => true;
    public static bool Wide => false;
    public static int FoldQuads => 4;
    public static int Offset => 4;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        TSimd.Store(panel + WeightPanel.D, TSimd.HalfLow(TSimd.Load(weights + 1728)));
        V four = TSimd.Broadcast(0x0F0F0F0F), two = TSimd.Broadcast(0x03030303), thirtyTwo = TSimd.Broadcast(0x00200020);
        V upper = TSimd.Load(weights + 1664);
        for (int s = 0; s < 4; s++)
        {
            V low = TSimd.Load(weights + 1536 + (s % 2 * 64));
            low = TSimd.And(s < 2 ? low : TSimd.ShiftRight16(low, 4), four);
            V scales = TSimd.Or(low, TSimd.ShiftLeft16(TSimd.And(upper, two), 4));
            upper = TSimd.ShiftRight16(upper, 2);
            for (int i = 0; i < 4; i++)
            {
                TSimd.Store(panel + WeightPanel.Scales + (s * 256) + (i * 64), TSimd.Subtract16(GemvParts.UnsignedPair<TSimd, V>(scales, 0), thirtyTwo));
                scales = TSimd.ShiftRight32(scales, 8);
            }
        }

        V third = TSimd.Broadcast(0x04040404);
        for (int i = 0; i < 8; i++)
        {
            V high = TSimd.Load(weights + (i * 64));
            for (int turn = 0; turn < 2; turn++)
            {
                V w = TSimd.Load(weights + 512 + (turn * 512) + (i * 64));
                byte* quad = panel + (turn * 2048) + (i * 64);
                for (int run = 0; run < 4; run++, quad += 512)
                {
                    TSimd.Store(quad, TSimd.Or(TSimd.And(w, two), TSimd.And(TSimd.ShiftLeft16(high, 2), third)));
                    w = TSimd.ShiftRight16(w, 2);
                    high = TSimd.ShiftRight16(high, 1);
                }
            }
        }
    }
}

internal readonly unsafe struct PanelIQ4_XS : IPanelFormat
{
    public static int UnitVectors => 34;
    public static int UnitsPerPanel => 1;
    public static bool SuperBlock => true;
    public static bool Wide => true;
    public static int FoldQuads => 8;
    public static int Offset => 0;
    public static int MinVectors => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct
    {
        V first = TSimd.Load(weights), lower = TSimd.Load(weights + 64), upper = TSimd.ShiftRight32(first, 16);
        TSimd.Store(panel + WeightPanel.D, TSimd.HalfLow(first));
        V table = PanelIQ4_NL.Table<TSimd, V>(), four = TSimd.Broadcast(15), two = TSimd.Broadcast(3), thirtyTwo = TSimd.Broadcast(0x00200020);
        for (int s = 0; s < 8; s++)
        {
            V scale = TSimd.Or(TSimd.And(lower, four), TSimd.ShiftLeft32(TSimd.And(upper, two), 4));
            scale = TSimd.Subtract16(TSimd.Or(scale, TSimd.ShiftLeft32(scale, 16)), thirtyTwo);
            lower = TSimd.ShiftRight32(lower, 4);
            upper = TSimd.ShiftRight32(upper, 2);
            PanelParts.LookupWide<TSimd, V>(weights + 128 + (s * 256), table, scale, panel, s * 8);
        }
    }
}
