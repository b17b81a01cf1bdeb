using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>The attributes of <c>loop</c>.</summary>
internal static class LoopAttributes
{
    public static Value? Find(LoopValue loop, string name)
    {
        int count = loop.Items.Count;
        return name switch
        {
            "index" => new IntValue(loop.Index + 1),
            "index0" => new IntValue(loop.Index),
            "revindex" => new IntValue(count - loop.Index),
            "revindex0" => new IntValue(count - loop.Index - 1),
            "first" => BoolValue.Of(loop.Index == 0),
            "last" => BoolValue.Of(loop.Index == count - 1),
            "length" => new IntValue(count),
            "depth" => new IntValue(loop.Depth + 1),
            "depth0" => new IntValue(loop.Depth),
            "previtem" => loop.Index > 0 ? loop.Items[loop.Index - 1] : new UndefinedValue("there is no previous item"),
            "nextitem" => loop.Index < count - 1 ? loop.Items[loop.Index + 1] : new UndefinedValue("there is no next item"),
            "cycle" => new FunctionValue(name, (_, arguments) => arguments.Positional.Count > 0
                ? arguments.Positional[loop.Index % arguments.Positional.Count]
                : throw new TemplateException("loop.cycle needs at least one item")),
            "changed" => new FunctionValue(name, (evaluator, arguments) => Changed(loop, arguments, evaluator.Budget)),
            _ => null,
        };
    }

    private static BoolValue Changed(LoopValue loop, Arguments arguments, Budget budget)
    {
        bool same = loop.LastChanged is not null
            && Comparison.AreEqual(new ListValue(loop.LastChanged), new ListValue(arguments.Positional), budget);
        loop.LastChanged = arguments.Positional;
        return BoolValue.Of(!same);
    }
}
