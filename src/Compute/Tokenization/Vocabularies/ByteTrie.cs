using System.Numerics;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>A set of byte strings by prefix. Node 0 is the root; edges are in one hash table.</summary>
internal sealed class ByteTrie
{
    private readonly int[] rootEdges = new int[256];
    private readonly List<int> values = [-1];
    private readonly List<(int Parent, byte Label)> parents = [(0, 0)];
    private ulong[] keys = new ulong[1024];
    private int[] targets = new int[1024];
    private int edges;

    public int Nodes => values.Count;

    /// <summary>The value of the string that ends at a node, or -1.</summary>
    public int Value(int node) => values[node];

    /// <summary>The node before, always of a lower number, and the byte that leads from it; the root's are 0.</summary>
    public (int Parent, byte Label) ParentOf(int node) => parents[node];

    /// <summary>Child of a node, or 0.</summary>
    public int Child(int node, byte label)
    {
        if (node == 0)
        {
            return rootEdges[label];
        }

        ulong key = ((ulong)(uint)node << 8) | label;
        uint mask = (uint)keys.Length - 1;
        for (uint slot = Slot(key) & mask; keys[slot] != 0; slot = (slot + 1) & mask)
        {
            if (keys[slot] == key)
            {
                return targets[slot];
            }
        }

        return 0;
    }

    /// <summary>Gives a string its value, replacing the one it had; returns its node.</summary>
    public int Add(ReadOnlySpan<byte> text, int value)
    {
        int node = 0;
        foreach (byte label in text)
        {
            int child = Child(node, label);
            node = child != 0 ? child : AddChild(node, label);
        }

        values[node] = value;
        return node;
    }

    private int AddChild(int node, byte label)
    {
        int child = values.Count;
        values.Add(-1);
        parents.Add((node, label));
        if (node == 0)
        {
            rootEdges[label] = child;
            return child;
        }

        if (++edges * 2 > keys.Length)
        {
            Grow();
        }

        Insert(((ulong)(uint)node << 8) | label, child);
        return child;
    }

    private void Insert(ulong key, int target)
    {
        uint mask = (uint)keys.Length - 1;
        uint slot = Slot(key) & mask;
        while (keys[slot] != 0)
        {
            slot = (slot + 1) & mask;
        }

        keys[slot] = key;
        targets[slot] = target;
    }

    private void Grow()
    {
        (ulong[] oldKeys, int[] oldTargets) = (keys, targets);
        keys = new ulong[oldKeys.Length * 2];
        targets = new int[oldKeys.Length * 2];
        for (int slot = 0; slot < oldKeys.Length; slot++)
        {
            if (oldKeys[slot] != 0)
            {
                Insert(oldKeys[slot], oldTargets[slot]);
            }
        }
    }

    private static uint Slot(ulong key) => (uint)(BitOperations.RotateLeft(key * 0x9E3779B97F4A7C15, 29) * 0xBF58476D1CE4E5B9 >> 32);
}
