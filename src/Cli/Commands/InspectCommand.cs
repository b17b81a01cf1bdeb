using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina inspect</c>: what is in a model file, and what of it is not supported.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "GGUF file; one with a vocabulary only will do." };
        Option<bool> tensors = new("--tensors") { Description = "List every tensor." };
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("inspect", "Show what is in a model file: architecture, sizes, types, memory per layer, what is unsupported.") { model, tensors, json };
        command.SetAction(parsed =>
        {
            using GgufFile file = GgufFile.Open(parsed.GetRequiredValue(model));
            ModelInspection inspection = ModelInspection.Of(file);
            Console.Out.WriteLine(parsed.GetValue(json) ? InspectionReport.ToJson(inspection) : InspectionReport.ToText(inspection, parsed.GetValue(tensors)));
            return 0;
        });
        return command;
    }
}
