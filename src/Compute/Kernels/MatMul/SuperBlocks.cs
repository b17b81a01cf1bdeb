namespace Lamina.Compute.Kernels;

/// <summary>Scalar decoding of the 256-element super-blocks, as they stand in the file.</summary>
internal static unsafe class SuperBlocks
{
    /// <summary>16 bytes of 4-bit scale and minimum, 64 bytes of 2-bit quants, d, dmin.</summary>
    public static void DecodeQ2_K(byte* block, ref RowPanel panel)
    {
        for (int s = 0; s < 16; s++)
        {
            panel.Scales[s] = (short)(block[s] & 15);
            panel.Mins[s] = (short)(block[s] >> 4);
        }

        for (int k = 0; k < 256; k++)
        {
            panel.Values[k] = (short)((block[16 + (k / 128 * 32) + (k % 32)] >> (k % 128 / 32 * 2)) & 3);
        }

        panel.D[0] = HalfFloat.ToSingle(*(ushort*)(block + 80));
        panel.M[0] = HalfFloat.ToSingle(*(ushort*)(block + 82));
    }

    /// <summary>32 bytes of third bits, 64 bytes of 2-bit quants, 12 bytes of 6-bit scales, d.</summary>
    public static void DecodeQ3_K(byte* block, ref RowPanel panel)
    {
        byte* scales = block + 96;
        for (int s = 0; s < 16; s++)
        {
            int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
            int high = (scales[8 + (s % 4)] >> (s / 4 * 2)) & 3;
            panel.Scales[s] = (short)((low | (high << 4)) - 32);
        }

        for (int k = 0; k < 256; k++)
        {
            int low = (block[32 + (k / 128 * 32) + (k % 32)] >> (k % 128 / 32 * 2)) & 3;
            int high = (block[k % 32] >> (k / 32)) & 1;
            panel.Values[k] = (short)(low + (high << 2) - 4);
        }

        panel.D[0] = HalfFloat.ToSingle(*(ushort*)(block + 108));
    }

    /// <summary>d, dmin, 12 bytes of 6-bit scales and minimums, 128 bytes of nibbles.</summary>
    public static void DecodeQ4_K(byte* block, ref RowPanel panel)
    {
        ScalesAndMins(block, ref panel);
        for (int k = 0; k < 256; k++)
        {
            panel.Values[k] = (short)((block[16 + (k / 64 * 32) + (k % 32)] >> (k % 64 / 32 * 4)) & 15);
        }
    }

    /// <summary>d, dmin, 12 bytes of 6-bit scales and minimums, 32 bytes of fifth bits, 128 bytes of nibbles.</summary>
    public static void DecodeQ5_K(byte* block, ref RowPanel panel)
    {
        ScalesAndMins(block, ref panel);
        for (int k = 0; k < 256; k++)
        {
            int low = (block[48 + (k / 64 * 32) + (k % 32)] >> (k % 64 / 32 * 4)) & 15;
            int high = (block[16 + (k % 32)] >> (k / 32)) & 1;
            panel.Values[k] = (short)(low | (high << 4));
        }
    }

    /// <summary>128 bytes of low nibbles, 64 bytes of upper 2 bits, 16 signed scales, d.</summary>
    public static void DecodeQ6_K(byte* block, ref RowPanel panel)
    {
        for (int s = 0; s < 16; s++)
        {
            panel.Scales[s] = (sbyte)block[192 + s];
        }

        for (int k = 0; k < 256; k++)
        {
            int half = k / 128, within = k % 128;
            int low = (block[(half * 64) + (within % 64)] >> (within / 64 * 4)) & 15;
            int high = (block[128 + (half * 32) + (within % 32)] >> (within / 32 * 2)) & 3;
            panel.Values[k] = (short)((low | (high << 4)) - 32);
        }

        panel.D[0] = HalfFloat.ToSingle(*(ushort*)(block + 208));
    }

    /// <summary>d, 8 × 2 upper scale bits, 8 × 4 lower scale bits, 128 bytes of nibbles through a table.</summary>
    public static void DecodeIQ4_XS(byte* block, ref RowPanel panel, ReadOnlySpan<sbyte> table)
    {
        panel.D[0] = HalfFloat.ToSingle(*(ushort*)block);
        int upper = *(ushort*)(block + 2);
        for (int s = 0; s < 16; s++)
        {
            int low = (block[4 + (s / 4)] >> (s / 2 % 2 * 4)) & 15;
            int high = (upper >> (s / 2 * 2)) & 3;
            panel.Scales[s] = (short)((low | (high << 4)) - 32);
        }

        for (int k = 0; k < 256; k++)
        {
            panel.Values[k] = table[(block[8 + (k / 32 * 16) + (k % 16)] >> (k % 32 / 16 * 4)) & 15];
        }
    }

    private static void ScalesAndMins(byte* block, ref RowPanel panel)
    {
        panel.D[0] = HalfFloat.ToSingle(*(ushort*)block);
        panel.M[0] = HalfFloat.ToSingle(*(ushort*)(block + 2));
        byte* packed = block + 4;
        for (int s = 0; s < 16; s++)
        {
            int sub = s / 2;
            panel.Scales[s] = (short)(sub < 4 ? packed[sub] & 63 : (packed[sub + 4] & 15) | (packed[sub - 4] >> 6 << 4));
            panel.Mins[s] = (short)(sub < 4 ? packed[sub + 4] & 63 : (packed[sub + 4] >> 4) | (packed[sub] >> 6 << 4));
        }
    }
}
