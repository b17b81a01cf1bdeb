using System.Diagnostics;
using Lamina.Compute.Model;

namespace Lamina.Node.Pipeline;

/// <summary>The spans of a stage's slots: each lasts while a traced generation holds the slot. One thread; without a traced generation it costs a comparison a step.</summary>
internal sealed class StageTrace(Stage stage, int slots) : IDisposable
{
    private readonly Span[] _spans = new Span[slots];
    private int _open;

    private struct Span
    {
        public Activity? Activity;
        public int Steps;
        public int Rows;
        public int LastStep;
    }

    /// <param name="settings">Of the operation that opens the slot.</param>
    public void Open(int slot, ReadOnlySpan<byte> settings)
    {
        if (!NodeTrace.IsOn || SamplingWire.Read(settings).TraceParent is not { } parent || NodeTrace.StartStage(stage.IsLast, parent) is not { } activity)
        {
            return;
        }

        activity.SetTag("lamina.layers", stage.Layers.ToString());
        _spans[slot] = new Span { Activity = activity };
        _open++;
    }

    public void CountStep(Step step)
    {
        if (_open == 0)
        {
            return;
        }

        foreach (int slot in step.Batch.Slots)
        {
            ref Span span = ref _spans[slot];
            span.Rows++;
            span.Steps += span.LastStep == step.Number ? 0 : 1;
            span.LastStep = step.Number;
        }
    }

    public void Release(int slot)
    {
        if (_open > 0 && _spans[slot].Activity is { } activity)
        {
            activity.SetTag("lamina.steps", _spans[slot].Steps);
            activity.SetTag("lamina.rows", _spans[slot].Rows);
            NodeTrace.Stop(activity);
            _spans[slot] = default;
            _open--;
        }
    }

    /// <summary>Ends the spans of a stage that goes.</summary>
    public void Dispose()
    {
        for (int slot = 0; slot < _spans.Length; slot++)
        {
            Release(slot);
        }
    }
}
