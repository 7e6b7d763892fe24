import assert from "node:assert/strict";
import { test } from "node:test";
import { isPercent, quantityName } from "../../src/model/format.ts";
import { parseLayerName } from "../../src/model/layerNames.ts";

test("the name of a layer contains the loader, the quantity, and whether it is an error", () => {
  assert.deepEqual(parseLayerName("test_set_loss_stderr"), { loader: "test_set", base: "loss", isError: true });
  assert.deepEqual(parseLayerName("accuracy"), { loader: "", base: "accuracy", isError: false });
  assert.deepEqual(parseLayerName("lambda_min"), { loader: "", base: "lambda_min", isError: false });
  assert.deepEqual(["loss", "train_loss", "test_accuracy_stderr", "lambda_min"].map(quantityName), [
    "Loss",
    "Train loss",
    "Test accuracy, standard error",
    "Smallest eigenvalue",
  ]);
  assert.ok(isPercent("test_accuracy") && isPercent("accuracy_stderr") && !isPercent("train_loss"));
});
