using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels.Attention;

namespace Lamina.Compute.Kernels;

internal sealed unsafe partial class CpuKernels<T>
{
    public override void StoreKeyValues(in KeyValueRows rows, int count)
    {
        int cost = rows.Layout.KvHeads * (rows.Layout.KeyLength + rows.Layout.ValueLength) * 4;
        switch (rows.Layout.Type)
        {
            case GgmlType.F16:
                EachRow(new StoreRow<KvF16>(rows), count, cost);
                break;
            case GgmlType.Q8_0:
                EachRow(new StoreRow<KvQ8_0>(rows), count, cost);
                break;
            default:
                EachRow(new StoreRow<KvQ4_0>(rows), count, cost);
                break;
        }
    }

    public override void Attend(in AttentionLayer layer, ReadOnlySpan<int> slots, AttentionWorkspace workspace)
    {
        int groupHeads = layer.Heads / layer.Layout.KvHeads;
        int unitHeads = Math.Min(groupHeads, AttentionUnit.MaxQueries);
        int unitsPerGroup = (groupHeads + unitHeads - 1) / unitHeads;
        workspace.Cut(slots, AttentionUnit.MaxQueries / unitHeads);
        int parts = layer.Layout.KvHeads * unitsPerGroup;
        switch (layer.Layout.Type)
        {
            case GgmlType.F16:
                Team.Run(new AttendJob<KvF16>(layer, workspace, parts, unitsPerGroup, unitHeads), workspace.TileCount * parts);
                break;
            case GgmlType.Q8_0:
                Team.Run(new AttendJob<KvQ8_0>(layer, workspace, parts, unitsPerGroup, unitHeads), workspace.TileCount * parts);
                break;
            default:
                Team.Run(new AttendJob<KvQ4_0>(layer, workspace, parts, unitsPerGroup, unitHeads), workspace.TileCount * parts);
                break;
        }
    }

    private readonly struct StoreRow<TKv>(KeyValueRows rows) : IRowOperation
        where TKv : struct, IKvFormat
    {
        public void Run(int row)
        {
            KvLayout layout = rows.Layout;
            int position = rows.Positions[row] % KvLayout.BlockPositions;
            byte* block = rows.Pool + (rows.Blocks[row] * layout.BlockBytes);
            for (int h = 0; h < layout.KvHeads; h++)
            {
                byte* group = block + layout.KeyOffset(h) + (position / KvLayout.GroupPositions * layout.KeyGroupBytes);
                TKv.StoreKey(rows.Keys[row] + (h * layout.KeyLength), layout.KeyLength, group, position % KvLayout.GroupPositions);
                byte* value = block + layout.ValueOffset(h) + (position * layout.ValueBytes);
                TKv.StoreValue(rows.Values[row] + (h * layout.ValueLength), layout.ValueLength, value);
            }
        }
    }

    /// <summary>Chunk = (tile of rows, key/value head, part of its query heads).</summary>
    private readonly struct AttendJob<TKv>(AttentionLayer layer, AttentionWorkspace workspace, int parts, int unitsPerGroup, int unitHeads) : IJob
        where TKv : struct, IKvFormat
    {
        public void Execute(int chunk, int worker)
        {
            RowTile tile = workspace.Tile(chunk / parts);
            int part = chunk % parts, groupHeads = layer.Heads / layer.Layout.KvHeads;
            int inGroup = part % unitsPerGroup * unitHeads;
            int firstHead = (part / unitsPerGroup * groupHeads) + inGroup;
            AttentionUnit<T, TKv>.Run(
                layer, workspace.BlockTable(tile.Slot), tile.FirstRow, tile.Rows, firstHead, Math.Min(unitHeads, groupHeads - inGroup), workspace.Scratch(worker));
        }
    }
}
